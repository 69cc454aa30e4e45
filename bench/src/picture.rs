//! The results as a picture: one bar for each row, as long as the ratio strains its goal.

use crate::Report;
use crate::measure::{Row, short};
use std::fmt::Write as _;

const WIDTH: f64 = 1120.0;
const LEFT: f64 = 214.0;
const RIGHT: f64 = 470.0;
const TOP: f64 = 84.0;
const LINE: f64 = 26.0;
/// The ends of the axis: a sixteenth of the goal and sixteen times it.
const ENDS: f64 = 4.0;

/// Readable on light and on dark ground, whoever embeds it.
const STYLE: &str = "\
    text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #24292f; }
    .title { font-size: 16px; font-weight: 600; }
    .faint { fill: #57606a; }
    .ground { fill: #ffffff; }
    .met { fill: #2da44e; }
    .missed { fill: #cf222e; }
    .goal { stroke: #24292f; stroke-width: 1.5; }
    .grid { stroke: #d0d7de; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .faint { fill: #8d96a0; }
      .ground { fill: #0d1117; }
      .met { fill: #3fb950; }
      .missed { fill: #f85149; }
      .goal { stroke: #e6edf3; }
      .grid { stroke: #30363d; }
    }";

/// Draws a report.
pub fn draw(report: &Report) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few rows")]
    let height = TOP + report.rows.len() as f64 * LINE + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\">\n  <title>Runyard's benchmarks, each beside its anchor</title>\n  <style>\n{STYLE}\n  </style>\n  \
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let met = report.rows.iter().filter(|row| row.met).count();
    let title = format!("Each row beside its anchor in the same run: {met} of {} goals met", report.rows.len());
    text(&mut svg, (20.0, 30.0), "title", "start", &title);
    let machine = &report.machine;
    let mut place = format!("{} processors, Linux {}", machine.processors, machine.kernel);
    if !machine.quiet {
        place.push_str("; the machine was busy, do not believe the ratios");
    }
    if !machine.optimised {
        place.push_str("; built without optimisation, do not believe the ratios");
    }
    text(&mut svg, (20.0, 50.0), "faint", "start", &place);
    for (power, label) in [(-4, "16× better"), (-2, "4× better"), (0, "goal"), (2, "4× worse"), (4, "16× worse")] {
        let x = x_of(f64::from(power));
        let class = if power == 0 { "goal" } else { "grid" };
        let (top, end) = (TOP - 6.0, height - 34.0);
        let _ = writeln!(svg, "  <line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{end}\"/>");
        text(&mut svg, (x, TOP - 12.0), "faint", "middle", label);
    }
    let mut y = TOP;
    for row in &report.rows {
        bar(&mut svg, row, y);
        y += LINE;
    }
    let note = "Left of the line is better than the goal. Bars begin at the goal; the scale is logarithmic.";
    text(&mut svg, (20.0, height - 12.0), "faint", "start", note);
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, row: &Row, y: f64) {
    let (goal, end) = (x_of(0.0), x_of(row.goal.strain(row.ratio).max(f64::MIN_POSITIVE).log2()));
    let (from, width) = (goal.min(end), (goal - end).abs().max(2.0));
    let class = if row.met { "met" } else { "missed" };
    text(svg, (LEFT - 12.0, y + 14.0), "", "end", row.name);
    let rect = format!("x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"", y + 3.0);
    let _ = writeln!(svg, "  <rect class=\"{class}\" {rect}/>");
    let told =
        format!("{} {} · {}× (goal {}) of {}", short(row.ours), row.unit, short(row.ratio), row.goal, row.anchor);
    text(svg, (WIDTH - RIGHT + 14.0, y + 14.0), "faint", "start", &shortened(&told, 64));
}

/// Where a power of two of the strain is.
fn x_of(power: f64) -> f64 {
    let (from, to) = (LEFT, WIDTH - RIGHT);
    from + (power.clamp(-ENDS, ENDS) + ENDS) / (2.0 * ENDS) * (to - from)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    let _ = writeln!(svg, "  <text class=\"{class}\" {place}>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_meets_its_goal_is_left_of_it() {
        assert!(x_of(-1.0) < x_of(0.0) && x_of(0.0) < x_of(1.0));
        assert!((x_of(9.0) - (WIDTH - RIGHT)).abs() < 1e-9, "what is off the scale ends at its end");
    }
}
