//! Numbers in rows, as HTML.

use super::svg::escape;

/// A table; cells of columns marked as text lean left.
pub(crate) struct Table {
    head: Vec<(&'static str, bool)>,
    body: String,
}

impl Table {
    pub(crate) fn new(head: &[(&'static str, bool)]) -> Self {
        Self { head: head.to_vec(), body: String::new() }
    }

    pub(crate) fn row(&mut self, class: &str, cells: &[String]) {
        self.body.push_str(&if class.is_empty() {
            "<tr>".into()
        } else {
            format!(r#"<tr class="{class}">"#)
        });
        for (index, cell) in cells.iter().enumerate() {
            let is_text = self.head.get(index).is_some_and(|(_, is_text)| *is_text);
            self.body.push_str(&match (index, is_text) {
                (0, _) => format!(r#"<th scope="row">{}</th>"#, escape(cell)),
                (_, true) => format!(r#"<td class="text">{}</td>"#, escape(cell)),
                (_, false) => format!("<td>{}</td>", escape(cell)),
            });
        }
        self.body.push_str("</tr>\n");
    }

    pub(crate) fn finish(self) -> String {
        let head: String = self
            .head
            .iter()
            .map(|(title, is_text)| {
                let class = if *is_text { r#" class="text""# } else { "" };
                format!(r#"<th scope="col"{class}>{title}</th>"#)
            })
            .collect();
        let body = self.body;
        format!(
            "<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n"
        )
    }
}
