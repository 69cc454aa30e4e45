//! Names, needs, runtimes, files and variables of blocks.

use std::collections::HashMap;

use crate::blocks::{built_in_languages, built_in_runtime, decode_base64, path_problem};
use crate::diagnostic::{Code, is_bidi_control, suggest};
use crate::model::{Block, BlockKind, Encoding, FileBlock, Runnable};
use crate::variables::{find_variables, spelling};

use super::Checker;

impl Checker<'_> {
    pub(super) fn blocks(&mut self) {
        self.names();
        self.files();
        self.circles();
        for block in &self.document.blocks {
            if let BlockKind::Runnable(runnable) = &block.kind {
                self.runtime(block, runnable);
                self.variables_in_code(block, runnable);
            }
            if block.is_verbatim() {
                self.verbatim(block);
            }
        }
    }

    fn names(&mut self) {
        let mut seen: HashMap<&str, &Block> = HashMap::new();
        for block in &self.document.blocks {
            let Some(name) = block.runnable().and_then(|r| r.attributes.name.as_deref()) else { continue };
            if let Some(first) = seen.get(name) {
                self.report(
                    Code::DuplicateName,
                    block.opening.clone(),
                    format!("the name `{name}` is that of the block in line {}", first.position.line),
                    "give each block a name of its own",
                );
            } else {
                seen.insert(name, block);
            }
        }
    }

    fn files(&mut self) {
        let mut seen: HashMap<&str, &Block> = HashMap::new();
        for block in &self.document.blocks {
            let Some(FileBlock { path, encoding, .. }) = block.file() else { continue };
            if *encoding == Encoding::Base64 && decode_base64(&block.body).is_none() {
                self.report(
                    Code::BadBase64,
                    block.opening.clone(),
                    format!("the body of \"{path}\" is not base64"),
                    "encode it again, or leave out `encoding=base64` for text",
                );
            }
            if path_problem(path).is_some() {
                continue;
            }
            if let Some(first) = seen.get(path.as_str()) {
                self.report(
                    Code::DuplicateFile,
                    block.opening.clone(),
                    format!("\"{path}\" is already written by the block in line {}", first.position.line),
                    "give it another path, or merge the two blocks",
                );
            } else {
                seen.insert(path, block);
            }
        }
    }

    fn runtime(&mut self, block: &Block, runnable: &Runnable) {
        let (document, options) = (self.document, self.options);
        let (own, settings) = (&document.front_matter.runtimes, &options.runtimes);
        let runtime = runnable.runtime.as_str();
        let known = built_in_runtime(runtime).is_some()
            || own.contains_key(runtime)
            || settings.iter().any(|r| r.eq_ignore_ascii_case(runtime));
        if known || runtime.is_empty() {
            return;
        }
        let all = built_in_languages().chain(own.keys().map(String::as_str)).chain(settings.iter().map(String::as_str));
        let help = suggest(runtime, all).map_or_else(
            || format!("add `{runtime}` to `runtimes:` in the front matter or the settings"),
            |near| format!("did you mean `{near}`?"),
        );
        self.report(Code::UnknownRuntime, block.opening.clone(), format!("no runtime is known for `{runtime}`"), help);
    }

    /// A value pasted into code would run as code.
    fn variables_in_code(&mut self, block: &Block, runnable: &Runnable) {
        for (range, name) in find_variables(&self.document.text[block.range.clone()], block.range.start) {
            self.report(
                Code::VariableInCode,
                range,
                format!("{{{{{name}}}}} would be pasted into code"),
                format!("write `{}`: every variable is in the block's environment", spelling(&runnable.runtime, name)),
            );
        }
    }

    fn verbatim(&mut self, block: &Block) {
        if !block.closed {
            self.report(
                Code::UnclosedFence,
                block.opening.clone(),
                "this block is never closed, so everything below belongs to it".to_owned(),
                "end it with a line of as many backticks or tildes as it begins with",
            );
        }
        let text = &self.document.text[block.range.clone()];
        if let Some((at, c)) = text.char_indices().find(|(_, c)| is_bidi_control(*c)) {
            let start = block.range.start + at;
            self.report(
                Code::BidiControl,
                start..start + c.len_utf8(),
                format!("the block holds U+{:04X}, which changes the direction of text", u32::from(c)),
                "take it out, or write it as an escape of the language",
            );
        }
    }

    fn circles(&mut self) {
        let document = self.document;
        let runnable: Vec<(&Block, &Runnable)> =
            document.blocks.iter().filter_map(|b| b.runnable().map(|r| (b, r))).collect();
        let by_id: HashMap<&str, usize> = runnable.iter().enumerate().map(|(i, (_, r))| (r.id.as_str(), i)).collect();
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(runnable.len());
        for (block, r) in &runnable {
            let mut found = Vec::new();
            for need in &r.attributes.needs {
                // A block can also be named by its index.
                let index = need.parse().ok().filter(|i| *i < runnable.len());
                if let Some(target) = by_id.get(need.as_str()).copied().or(index) {
                    found.push(target);
                    continue;
                }
                let help = suggest(need, by_id.keys().copied()).map_or_else(
                    || "give the needed block a `name=`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                self.report(Code::UnknownNeed, block.opening.clone(), format!("no block is named `{need}`"), help);
            }
            needs.push(found);
        }
        for index in in_circles(&needs) {
            let (block, r) = runnable[index];
            self.report(
                Code::CircularNeed,
                block.opening.clone(),
                format!("the block `{}` needs itself in the end", r.id),
                "take one of the `needs` of the circle away",
            );
        }
    }
}

/// The nodes that can never be run since each waits for another: what is left after taking away, again and again,
/// those that wait for nothing. (Linear; also names those that only wait for a circle.)
fn in_circles(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (node, targets) in needs.iter().enumerate() {
        for target in targets {
            dependents[*target].push(node);
        }
    }
    let mut free: Vec<usize> = (0..needs.len()).filter(|n| waiting[*n] == 0).collect();
    while let Some(done) = free.pop() {
        for dependent in &dependents[done] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                free.push(*dependent);
            }
        }
    }
    (0..needs.len()).filter(|n| waiting[*n] > 0).collect()
}
