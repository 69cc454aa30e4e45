//! What the engine asks of a document.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{Block, Document, Runnable, Step};
use crate::number::StepNumber;
use crate::variables::{MissingVariables, fill_outside};

/// What an agent is told about one leaf, with variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafContext {
    /// Everything before the steps (title, intro, summary), without front matter.
    pub intro: String,
    /// Heading and own text of each step above the leaf, outermost first.
    pub parents: Vec<String>,
    /// Heading and own text of the leaf.
    pub step: String,
}

impl LeafContext {
    /// All parts as one text, a blank line between them.
    pub fn to_text(&self) -> String {
        let parts = std::iter::once(&self.intro).chain(&self.parents).chain([&self.step]);
        let parts: Vec<&str> = parts.map(|p| p.trim()).filter(|p| !p.is_empty()).collect();
        parts.join("\n\n") + "\n"
    }
}

impl Document {
    /// The step of this number; the first, where a faulty document has several.
    pub fn step(&self, number: &StepNumber) -> Option<&Step> {
        self.steps.iter().find(|s| s.number == *number)
    }

    /// The executable steps in order.
    pub fn leaves(&self) -> Vec<&Step> {
        self.steps.iter().filter(|s| s.is_leaf()).collect()
    }

    /// The executable steps of one step: itself when it is a leaf. Empty when there is no such step.
    pub fn leaves_of(&self, number: &StepNumber) -> Vec<&Step> {
        let Some(step) = self.step(number) else { return Vec::new() };
        self.leaves_where(|leaf| step.extent.contains(&leaf.heading.start))
    }

    /// The executable steps from the first of `from` to the last of `to`, both included.
    pub fn leaves_between(&self, from: &StepNumber, to: &StepNumber) -> Vec<&Step> {
        let (Some(from), Some(to)) = (self.step(from), self.step(to)) else { return Vec::new() };
        self.leaves_where(|leaf| from.extent.start <= leaf.heading.start && leaf.heading.start < to.extent.end)
    }

    /// The executable steps after those of `number`.
    pub fn leaves_after(&self, number: &StepNumber) -> Vec<&Step> {
        let Some(step) = self.step(number) else { return Vec::new() };
        self.leaves_where(|leaf| leaf.heading.start >= step.extent.end)
    }

    /// The executable steps up to the last of `number`: what "run `number`" may have to execute.
    pub fn leaves_until(&self, number: &StepNumber) -> Vec<&Step> {
        let Some(step) = self.step(number) else { return Vec::new() };
        self.leaves_where(|leaf| leaf.heading.start < step.extent.end)
    }

    fn leaves_where(&self, keep: impl Fn(&Step) -> bool) -> Vec<&Step> {
        self.steps.iter().filter(|s| s.is_leaf() && keep(s)).collect()
    }

    /// The steps above a step, innermost first.
    pub fn ancestors(&self, step: &Step) -> Vec<&Step> {
        std::iter::successors(step.parent, |p| self.steps[*p].parent).map(|p| &self.steps[p]).collect()
    }

    /// The runnable blocks in order; their position here is their index.
    pub fn runnable_blocks(&self) -> Vec<&Block> {
        self.blocks.iter().filter(|b| b.runnable().is_some()).collect()
    }

    /// The file blocks in order.
    pub fn file_blocks(&self) -> Vec<&Block> {
        self.blocks.iter().filter(|b| b.file().is_some()).collect()
    }

    /// The runnable block of this id, or with this index.
    pub fn runnable_block(&self, id: &str) -> Option<(&Block, &Runnable)> {
        let all = || self.blocks.iter().filter_map(|b| Some((b, b.runnable()?)));
        all().find(|(_, r)| r.id == id).or_else(|| {
            let index: usize = id.parse().ok()?;
            all().nth(index)
        })
    }

    /// The checks in a leaf's own text.
    pub fn checks_for_leaf(&self, number: &StepNumber) -> Vec<&Block> {
        self.step(number).filter(|s| s.is_leaf()).map(|s| self.checks_in(&s.body)).unwrap_or_default()
    }

    /// The checks in a parent's own text, which run after its last leaf.
    pub fn checks_for_parent(&self, number: &StepNumber) -> Vec<&Block> {
        self.step(number).filter(|s| !s.is_leaf()).map(|s| self.checks_in(&s.body)).unwrap_or_default()
    }

    /// The checks before all steps, which run after every leaf.
    pub fn preamble_checks(&self) -> Vec<&Block> {
        self.steps.first().map(|first| self.checks_in(&(0..first.heading.start))).unwrap_or_default()
    }

    /// All checks that decide about a leaf, in the order in which they run: its own, those of each step whose last
    /// leaf it is (innermost first), those before all steps.
    pub fn checks_after(&self, number: &StepNumber) -> Vec<&Block> {
        let Some(leaf) = self.step(number).filter(|s| s.is_leaf()) else { return Vec::new() };
        let mut checks = self.checks_in(&leaf.body);
        for parent in self.ancestors(leaf).into_iter().take_while(|p| p.extent.end == leaf.extent.end) {
            checks.extend(self.checks_in(&parent.body));
        }
        checks.extend(self.preamble_checks());
        checks
    }

    fn checks_in(&self, range: &Range<usize>) -> Vec<&Block> {
        self.blocks_in(range).iter().filter(|b| b.is_check()).collect()
    }

    /// The text of a step: heading and own text, without the line endings at its end. What an editor shows for
    /// [`crate::Edit::ReplaceStep`].
    pub fn step_text(&self, step: &Step) -> &str {
        crate::edit::without_final_newlines(&self.text[step.heading.start..step.body.end])
    }

    /// What an agent is told about the leaf `number`, variables filled in from `values` (see
    /// [`Document::variable_values`]). `None` when there is no such step.
    pub fn leaf_context(
        &self,
        number: &StepNumber,
        values: &BTreeMap<String, String>,
    ) -> Option<Result<LeafContext, MissingVariables>> {
        let step = self.step(number)?;
        let first = self.steps.first()?;
        let parts = std::iter::once(self.front_matter.range.end..first.heading.start)
            .chain(self.ancestors(step).into_iter().rev().chain([step]).map(|s| s.heading.start..s.body.end));
        let filled: Result<Vec<String>, MissingVariables> = self.fill_parts(parts, values);
        Some(filled.map(|mut parts| {
            let step = parts.pop().unwrap_or_default();
            let intro = if parts.is_empty() { String::new() } else { parts.remove(0) };
            LeafContext { intro, parents: parts, step }
        }))
    }

    /// Fills each part, and tells the missing variables of all of them at once.
    fn fill_parts(
        &self,
        parts: impl Iterator<Item = Range<usize>>,
        values: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, MissingVariables> {
        let mut filled = Vec::new();
        let mut missing = MissingVariables(std::collections::BTreeSet::new());
        for part in parts {
            match fill_outside(&self.text[part.clone()], &self.verbatim_within(&part), values) {
                Ok(text) => filled.push(text.trim().to_owned()),
                Err(more) => missing.0.extend(more.0),
            }
        }
        if missing.0.is_empty() { Ok(filled) } else { Err(missing) }
    }
}
