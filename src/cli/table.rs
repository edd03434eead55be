//! Tables as docker lays them out: columns at least ten wide, three blanks between.

/// Blanks between two columns.
const GAP: usize = 3;
/// Least width of a column, its gap included, as Go's tabwriter is set up by docker.
const MIN: usize = 10;

/// Lays out rows of cells separated by tabs; the last column is as wide as it comes.
pub fn layout(rows: &[String]) -> String {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.split('\t').collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in &cells {
        // The last cell of a row ends no column.
        for (n, cell) in row.iter().enumerate().take(row.len().saturating_sub(1)) {
            widths[n] = widths[n].max((width(cell) + GAP).max(MIN));
        }
    }
    let mut out = String::new();
    for row in &cells {
        for (n, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if n + 1 < row.len() {
                out.push_str(&" ".repeat(widths[n] - width(cell)));
            }
        }
        out.push('\n');
    }
    out
}

/// Returns the columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Cuts a text to `limit` columns, the last of which is `…` when something was cut.
pub fn ellipsis(text: &str, limit: usize) -> String {
    console::truncate_str(text, limit, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_a_least_width_and_a_gap() {
        let rows = ["A\tLONG HEADER\tC".to_owned(), "1\tx\tlast".to_owned()];
        assert_eq!(layout(&rows), "A         LONG HEADER   C\n1         x             last\n");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(layout(&["日本\tx".to_owned()]), "日本      x\n");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
    }
}
