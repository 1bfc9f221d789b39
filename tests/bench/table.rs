//! A table of Markdown.

/// Rows under a head.
pub(crate) struct Table {
    columns: usize,
    text: String,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let mut table = Self {
            columns: head.len(),
            text: String::new(),
        };
        table.line(head.iter().copied());
        table.line(head.iter().map(|_| "---"));
        table
    }

    /// Adds a row; missing cells are left empty, those beyond the head are dropped.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let empty = std::iter::repeat("");
        let cells = cells.iter().map(String::as_str).chain(empty).take(self.columns);
        let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
        self.line(cells.iter().map(String::as_str));
    }

    fn line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        let cells: Vec<&str> = cells.collect();
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub(crate) fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_as_many_cells_as_the_head() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["1".to_owned()]);
        table.row(&["x|y".to_owned(), "2".to_owned(), "3".to_owned()]);
        assert_eq!(
            table.text(),
            "| a | b |\n| --- | --- |\n| 1 |  |\n| x\\|y | 2 |\n"
        );
    }
}
