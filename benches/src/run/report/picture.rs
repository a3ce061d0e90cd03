//! The picture: what a delivery costs and what an idle connection holds, one row for each server.

use std::{error::Error, path::Path};

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    Report,
    markdown::figure,
    median::Median,
    names::{is_ours, title},
};
use crate::design::Design;

mod scale;

use self::scale::Scale;

const WIDTH: i32 = 1040;
const TOP: i32 = 92;
const ROW: i32 = 25;
const BAR: i32 = 15;
const BOTTOM: i32 = 52;
/// Names end here, and both panels have their place.
const NAMES: i32 = 268;
const CPU: (i32, i32) = (280, 680);
const MEMORY: (i32, i32) = (760, 980);
/// Where the axis of memory begins: less is nothing.
const LEAST_KIB: f64 = 0.5;

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const GRID: RGBColor = RGBColor(229, 231, 235);
const OURS: RGBColor = RGBColor(13, 148, 136);
const THEIRS: RGBColor = RGBColor(176, 184, 196);
const LIMIT: RGBColor = RGBColor(220, 38, 38);

/// One row.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    design: Design,
    title: String,
    cpu: f64,
    kib: Option<f64>,
}

pub(super) fn draw(report: &Report, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    paint(report, &mut text).map_err(|error| format!("cannot draw the picture: {error}"))?;
    super::write(file, &text)
}

/// Of one server thread, the cheapest delivery first.
fn rows(report: &Report) -> Vec<Row> {
    let of = |workload: &'static str| {
        let of_it = move |median: &&Median| (median.workload.as_str(), median.threads) == (workload, 1);
        report.medians.iter().filter(of_it)
    };
    let row = |median: &Median| {
        let idle = of("idle").find(|idle| (idle.design, &idle.dialect) == (median.design, &median.dialect));
        Row {
            design: median.design,
            title: title(median.design, &median.dialect, 1).replace('`', ""),
            cpu: median.median,
            kib: idle.map(|idle| idle.median),
        }
    };
    let mut rows: Vec<Row> = of("broadcast 64 B").map(row).collect();
    rows.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
    rows
}

fn paint(report: &Report, text: &mut String) -> Result<(), Box<dyn Error>> {
    let rows = rows(report);
    let height = TOP + ROW * rows.len() as i32 + BOTTOM;
    let area = SVGBackend::with_string(text, (WIDTH as u32, height as u32)).into_drawing_area();
    // Of its own: the picture has to be readable on a dark page.
    area.fill(&WHITE)?;
    let canvas = Canvas { area, bottom: height - BOTTOM };

    let most = rows.iter().map(|row| row.cpu).fold(1.0, f64::max);
    let held = rows.iter().filter_map(|row| row.kib).fold(1.0, f64::max);
    let (cpu, memory) = (Scale::up_to(most), Scale::decades(LEAST_KIB, held));
    canvas.head(CPU.0, "CPU for each delivery, in µs", "a broadcast of 64 bytes, of one server thread")?;
    canvas.head(MEMORY.0, "Memory when idle, in KiB", "of a connection, on a logarithmic scale")?;
    canvas.axis(cpu, CPU)?;
    canvas.axis(memory, MEMORY)?;
    for (number, row) in rows.iter().enumerate() {
        let middle = TOP + ROW * number as i32 + ROW / 2;
        canvas.row(row, middle, cpu, memory)?;
    }
    if let Some(limit) = rows.iter().find(|row| row.design == Design::Raw) {
        canvas.limit(cpu.place(limit.cpu, CPU))?;
    }
    let machine = &report.machine;
    let connections = report.settings.connections;
    let foot = format!(
        "{connections} connections over loopback on {}; herenow {}, {}",
        machine.cpu, machine.herenow, machine.date
    );
    canvas.text(&foot, 15, FAINT, (NAMES - 252, height - 16), HPos::Left)?;
    Ok(canvas.area.present()?)
}

struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    bottom: i32,
}

type Drawn = Result<(), Box<dyn Error>>;

impl Canvas<'_> {
    fn head(&self, left: i32, title: &str, what: &str) -> Drawn {
        let font = ("sans-serif", 20).into_font().style(FontStyle::Bold);
        let style = TextStyle::from(font).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        self.area.draw(&Text::new(title.to_owned(), (left, 24), style)).map_err(failed)?;
        self.text(what, 16, FAINT, (left, 48), HPos::Left)
    }

    fn axis(&self, scale: Scale, span: (i32, i32)) -> Drawn {
        for tick in scale.ticks() {
            let place = scale.place(tick, span);
            self.line(place, TOP - 6, &GRID, 1)?;
            self.text(&tick.to_string(), 15, FAINT, (place, TOP - 16), HPos::Center)?;
        }
        Ok(())
    }

    fn row(&self, row: &Row, middle: i32, cpu: Scale, memory: Scale) -> Drawn {
        let colour = match row.design {
            Design::Raw => LIMIT,
            design if is_ours(design) => OURS,
            _ => THEIRS,
        };
        let ink = if is_ours(row.design) { OURS } else { INK };
        self.text(&row.title, 17, ink, (NAMES, middle), HPos::Right)?;
        self.bar(row.cpu, middle, (cpu, CPU), colour)?;
        match row.kib {
            Some(kib) => self.bar(kib, middle, (memory, MEMORY), colour),
            None => Ok(()),
        }
    }

    fn bar(&self, value: f64, middle: i32, (scale, span): (Scale, (i32, i32)), colour: RGBColor) -> Drawn {
        let end = scale.place(value, span);
        let corners = [(span.0, middle - BAR / 2), (end, middle + BAR / 2)];
        if end > span.0 {
            self.area.draw(&Rectangle::new(corners, colour.filled())).map_err(failed)?;
        }
        self.text(&figure(value), 16, INK, (end + 6, middle), HPos::Left)
    }

    /// The raw limit, through all rows.
    fn limit(&self, place: i32) -> Drawn {
        self.line(place, TOP, &LIMIT, 1)?;
        self.text("the raw limit", 15, LIMIT, (place, self.bottom + 14), HPos::Center)
    }

    fn line(&self, place: i32, top: i32, colour: &RGBColor, width: u32) -> Drawn {
        let line = PathElement::new([(place, top), (place, self.bottom)], colour.stroke_width(width));
        self.area.draw(&line).map_err(failed)
    }

    fn text(&self, text: &str, size: i32, colour: RGBColor, at: (i32, i32), side: HPos) -> Drawn {
        let style = TextStyle::from(("sans-serif", size).into_font())
            .color(&colour)
            .pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), at, style)).map_err(failed)
    }
}

fn failed(error: impl Error) -> Box<dyn Error> {
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Machine, Settings,
            median::{made_up, medians},
        },
        *,
    };

    #[test]
    fn rows_are_sorted_and_have_both_figures() {
        let mut report = Report::new(Machine::default(), Settings::default(), Vec::new());
        report.medians = medians(&[
            made_up(0, Design::Axum, "raw", "broadcast 64 B", 22.0),
            made_up(0, Design::Raw, "raw", "broadcast 64 B", 5.0),
            made_up(0, Design::HerenowAxum, "envelope", "broadcast 64 B", 5.5),
            made_up(0, Design::HerenowAxum, "envelope", "idle", 1.5),
        ]);
        let rows = rows(&report);
        assert_eq!(rows.iter().map(|row| row.cpu).collect::<Vec<_>>(), [5.0, 5.5, 22.0]);
        assert_eq!((rows[1].kib, rows[0].kib), (Some(1.5), None));
        let mut text = String::new();
        paint(&report, &mut text).unwrap();
        assert!(
            text.contains("herenow on axum, envelope")
                && text.contains("22.0")
                && text.contains("the raw limit")
        );
    }
}
