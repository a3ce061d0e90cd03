//! Tables that people read as they are, and that Markdown reads too.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

/// The first column is words, the rest figures.
pub(super) fn table(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// Three digits that count.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        99.95.. => format!("{value:.0}"),
        9.995.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([4.649, 9.999, 51.26, 1234.5].map(figure), ["4.65", "10.0", "51.3", "1234"]);
        assert_eq!(figure(-0.014), "-0.01");
    }

    #[test]
    fn a_table_is_markdown() {
        let text = table(vec!["a".into(), "b".into()], vec![vec!["x".into(), "1".into()]]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.starts_with('|') && line.ends_with('|')), "{text}");
    }
}
