//! Columns that tabs align, as Go's tabwriter does with a padding of one tab.

/// Returns lines whose cells end at tab stops of eight: a column is a block of lines in which the
/// cell is ended by a tab, and as wide as its widest cell.
pub fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> =
        lines.iter().map(|cells| vec![0; cells.len().saturating_sub(1)]).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut from = 0;
        while from < lines.len() {
            if widths[from].len() <= column {
                from += 1;
                continue;
            }
            let to = (from..lines.len()).find(|line| widths[*line].len() <= column).unwrap_or(lines.len());
            let widest = lines[from..to].iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
            // A column of empty cells has no width, but its tab.
            let width = if widest == 0 { 8 } else { (widest / 8 + 1) * 8 };
            widths[from..to].iter_mut().for_each(|line| line[column] = width);
            from = to;
        }
    }
    let mut out = String::new();
    for (cells, widths) in lines.iter().zip(&widths) {
        for (index, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(index) {
                let missing = width.saturating_sub(cell.chars().count());
                out.push_str(&"\t".repeat(missing.div_ceil(8)));
            }
        }
        out.push('\n');
    }
    out
}
