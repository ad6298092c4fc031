//! What a node says of itself: a few tables that any node can fill, and one page can show.

use serde_json::{Value, json};
use std::time::Duration;

/// Answers `/status`; asked anew for every request, so it should be quick.
pub trait StatusPage: Send + Sync + 'static {
    /// Whether the node takes requests: what `/healthz` answers.
    fn ready(&self) -> bool {
        true
    }

    /// How the node is now.
    fn status(&self) -> Status;
}

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// `edge node`, `cloud node`.
    pub role: String,
    /// Version of the program.
    pub version: String,
    /// Time since the start.
    pub uptime: Duration,
    /// Tables, in order.
    pub sections: Vec<Section>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows of as many cells as there are columns: text, numbers, true or false.
    pub rows: Vec<Vec<Value>>,
}

impl Status {
    /// `{"node","role","version","uptime_s","sections":[{"title","columns","rows"}]}`
    pub fn into_json(self) -> Value {
        let sections: Vec<_> = self
            .sections
            .into_iter()
            .map(|Section { title, columns, rows }| json!({ "title": title, "columns": columns, "rows": rows }))
            .collect();
        json!({
            "node": self.node,
            "role": self.role,
            "version": self.version,
            "uptime_s": self.uptime.as_secs_f64(),
            "sections": sections,
        })
    }
}

impl Section {
    /// An empty table.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    #[must_use]
    pub fn row<const N: usize>(mut self, cells: [Value; N]) -> Self {
        self.rows.push(cells.into());
        self
    }
}
