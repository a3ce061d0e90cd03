//! What was measured, as the JSON has it and as people read it.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// All figures, in the order in which they were taken.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    redis: String,
    figures: Vec<Figure>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figure {
    /// Whose: ours, or another's.
    who: &'static str,
    what: &'static str,
    /// Under which circumstances.
    with: String,
    figure: f64,
    unit: &'static str,
    /// What else was seen, in words.
    note: String,
}

impl Report {
    pub(super) fn of(redis: String) -> Self {
        Self { redis, figures: Vec::new() }
    }

    /// Takes a figure in, and says so: the whole takes minutes.
    pub(super) fn take(&mut self, figure: Figure) {
        eprintln!("{figure}");
        self.figures.push(figure);
    }
}

impl Figure {
    pub(super) fn ours(what: &'static str, with: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self { who: "herenow", what, with: with.into(), figure, unit, note: String::new() }
    }

    pub(super) fn of(self, who: &'static str) -> Self {
        Self { who, ..self }
    }

    pub(super) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { who, what, with, figure, unit, note } = self;
        let figure = match figure.abs() {
            1000.0.. => format!("{figure:.0}"),
            10.0.. => format!("{figure:.1}"),
            _ => format!("{figure:.2}"),
        };
        write!(f, "| {who} | {what} | {with} | {figure} {unit} | {note} |")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Nodes over Redis {}; CPU is that of Redis's main thread\n", self.redis)?;
        writeln!(f, "| who | what | with | figure | |\n|---|---|---|--:|---|")?;
        self.figures.iter().try_for_each(|figure| writeln!(f, "{figure}"))
    }
}
