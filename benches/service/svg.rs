//! Draws tables as SVG. The colours follow those of the page: light or dark.

use std::fmt::Write;

use crate::load::as_float;

const ROW_HEIGHT: f64 = 24.0;
const PADDING: f64 = 12.0;
const FONT_SIZE: f64 = 13.0;
const BAR_WIDTH: f64 = 90.0;

/// Fonts differ in width. The estimates of [`width`] are those of a wide font, so that texts in
/// other fonts fit, too.
const STYLE: &str = "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}\
    .head{font-weight:600}.bg{fill:#fff}.rule{stroke:#d1d9e0}.track{fill:#eaeef2}\
    .reached{fill:#1a7f37}.missed{fill:#bc4c00}.plain{fill:#6e7781}\
    .goal{stroke:#1f2328;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.rule{stroke:#3d444d}\
    .track{fill:#262c36}.reached{fill:#3fb950}.missed{fill:#f0883e}.plain{fill:#9198a1}\
    .goal{stroke:#e6edf3}}";

/// A table with a title, in sections.
pub(crate) struct Drawing {
    pub(crate) title: String,
    /// The heads of the columns. The first column is aligned to the left, all others to the right.
    pub(crate) columns: Vec<String>,
    pub(crate) sections: Vec<Section>,
}

/// Rows with a heading.
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) bar: Option<Bar>,
}

/// A bar with a mark at the goal.
#[derive(Clone, Copy)]
pub(crate) struct Bar {
    /// The length of the bar, from 0 to 1.
    pub(crate) length: f64,
    /// The position of the goal, from 0 to 1, and whether it is reached.
    pub(crate) goal: Option<(f64, bool)>,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), bar: None }
    }

    fn width(&self) -> f64 {
        width(&self.text) + self.bar.map_or(0.0, |_| BAR_WIDTH + 8.0)
    }
}

/// The estimated width of a text of the class `head`, which is bold.
fn bold_width(text: &str) -> f64 {
    1.1 * width(text)
}

/// The estimated width of a text in pixels.
fn width(text: &str) -> f64 {
    let of = |character| match character {
        'i' | 'j' | 'l' | 'I' | 't' | 'f' | 'r' | '.' | ',' | ';' | ':' | '(' | ')' | '/' | '-'
        | ' ' => 0.42,
        'm' | 'w' | 'M' | 'W' | '≥' | '≤' | '×' => 1.0,
        'A'..='Z' => 0.78,
        _ => 0.65,
    };
    text.chars().map(of).sum::<f64>() * FONT_SIZE
}

impl Drawing {
    /// The text of the SVG file.
    pub(crate) fn svg(&self) -> String {
        let widths = self.widths();
        let total = widths.iter().sum::<f64>().max(bold_width(&self.title) + 2.0 * PADDING);
        let rows: usize = self.sections.iter().map(|it| it.rows.len() + 1).sum();
        let height = as_float(rows + 2) * ROW_HEIGHT + PADDING;
        let mut svg = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total:.0} {height:.0}\" \
             width=\"{total:.0}\" height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n<rect class=\"bg\" width=\"100%\" height=\"100%\"/>",
            escape(&self.title)
        );
        let mut y = ROW_HEIGHT;
        draw_text(&mut svg, PADDING, y, "head", &self.title);
        y += ROW_HEIGHT;
        let heads: Vec<_> = self.columns.iter().map(Cell::text).collect();
        draw_row(&mut svg, &widths, y, "head", &heads);
        for section in &self.sections {
            y += ROW_HEIGHT;
            draw_rule(&mut svg, total, y - ROW_HEIGHT + 7.0);
            draw_text(&mut svg, PADDING, y, "head", &section.heading);
            for row in &section.rows {
                y += ROW_HEIGHT;
                draw_row(&mut svg, &widths, y, "", row);
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The width of each column: that of its widest cell.
    fn widths(&self) -> Vec<f64> {
        let column = |(index, head): (usize, &String)| {
            let rows = self.sections.iter().flat_map(|section| &section.rows);
            let cells = rows.filter_map(|row| row.get(index)).map(Cell::width);
            let headings = self.sections.iter().map(|it| bold_width(&it.heading));
            let headings = headings.fold(0.0, f64::max);
            let least = if index == 0 { headings } else { 0.0 };
            cells.fold(least.max(bold_width(head)), f64::max) + 2.0 * PADDING
        };
        self.columns.iter().enumerate().map(column).collect()
    }
}

/// Draws a row of cells. The first one is aligned to the left, all others to the right.
fn draw_row(svg: &mut String, widths: &[f64], y: f64, class: &str, cells: &[Cell]) {
    let mut right = 0.0;
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let left = right;
        right += width;
        if index == 0 {
            draw_text(svg, left + PADDING, y, class, &cell.text);
        } else if !cell.text.is_empty() {
            let (x, content) = (right - PADDING, escape(&cell.text));
            let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\"");
            let _ = writeln!(svg, "<text {place} class=\"{class}\">{content}</text>");
        }
        if let Some(bar) = cell.bar {
            draw_bar(svg, left + PADDING, y, bar);
        }
    }
}

fn draw_bar(svg: &mut String, x: f64, y: f64, bar: Bar) {
    let top = y - 10.0;
    let class = match bar.goal {
        Some((_, true)) => "reached",
        Some((_, false)) => "missed",
        None => "plain",
    };
    let length = bar.length.clamp(0.0, 1.0) * BAR_WIDTH;
    let _ = writeln!(
        svg,
        "<rect class=\"track\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{BAR_WIDTH}\" height=\"10\"/>\
         <rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"10\"/>"
    );
    if let Some((goal, _)) = bar.goal {
        let x = x + goal.clamp(0.0, 1.0) * BAR_WIDTH;
        let _ = writeln!(
            svg,
            "<line class=\"goal\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            top - 3.0,
            top + 13.0
        );
    }
}

fn draw_text(svg: &mut String, x: f64, y: f64, class: &str, content: &str) {
    let content = escape(content);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{content}</text>");
}

fn draw_rule(svg: &mut String, width: f64, y: f64) {
    let _ = writeln!(
        svg,
        "<line class=\"rule\" x1=\"0\" y1=\"{y:.1}\" x2=\"{width:.0}\" y2=\"{y:.1}\"/>"
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
