//! All tables of a run as one drawing: a panel for each.

use crate::report::{Shape, Table};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const PANEL: (u32, u32) = (620, 320);
const ACROSS: usize = 2;
/// Above the panels, for the conditions.
const HEAD: u32 = 40;
const FONT: (&str, u32) = ("sans-serif", 13);
const BLUE: RGBColor = RGBColor(0x2b, 0x6c, 0xb0);

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws them into a file.
pub(crate) fn draw(path: &Path, conditions: &str, tables: &[Table]) -> Result<()> {
    let down = tables.len().div_ceil(ACROSS).max(1);
    let size = (PANEL.0 * ACROSS as u32, PANEL.1 * u32::try_from(down)? + HEAD);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    head.draw(&Text::new(conditions.to_owned(), (16, 14), FONT))?;
    for (panel, table) in body.split_evenly((down, ACROSS)).iter().zip(tables) {
        match table.shape {
            Shape::Bars(column) => bars(panel, table, column)?,
            Shape::Curve(column) => curve(panel, table, column)?,
        }
    }
    Ok(root.present()?)
}

fn title(table: &Table, column: usize) -> String {
    let head = table.columns.get(column).map_or("", |(head, _)| head);
    format!("{}: {head}", table.title.split(';').next().unwrap_or_default())
}

/// The rows' names and numbers, without those that are not there.
fn values(table: &Table, column: usize) -> Vec<(&str, f64)> {
    let value = |numbers: &[f64]| numbers.get(column).copied().filter(|number| number.is_finite());
    table.rows.iter().filter_map(|(name, numbers)| Some((name.as_str(), value(numbers)?))).collect()
}

fn bars(panel: &Panel<'_>, table: &Table, column: usize) -> Result<()> {
    let rows = values(table, column);
    let most = rows.iter().map(|(_, number)| *number).fold(0.0, f64::max).max(1e-9);
    let count = rows.len() as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(title(table, column), ("sans-serif", 15))
        .margin(14)
        .margin_left(250)
        .x_label_area_size(26)
        .build_cartesian_2d(0.0..most * 1.2, -0.5..count.max(1.0) - 0.5)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().light_line_style(WHITE).x_labels(5).draw()?;
    // The first row is the highest.
    let at = |index: usize| count - 1.0 - index as f64;
    chart.draw_series(
        rows.iter()
            .enumerate()
            .map(|(index, (_, number))| Rectangle::new([(0.0, at(index) - 0.35), (*number, at(index) + 0.35)], BLUE.mix(0.8).filled())),
    )?;
    let decimals = table.columns.get(column).map_or(1, |(_, decimals)| *decimals);
    let side = |position| TextStyle::from(FONT).pos(Pos::new(position, VPos::Center));
    chart.draw_series(rows.iter().enumerate().map(|(index, (_, number))| {
        EmptyElement::at((*number, at(index))) + Text::new(format!("{number:.decimals$}"), (5, 0), side(HPos::Left))
    }))?;
    // Names stand left of the plot, where only the panel itself can be written to.
    for (index, (name, _)) in rows.iter().enumerate() {
        let (_, y) = chart.plotting_area().map_coordinate(&(0.0, at(index)));
        let (_, top) = panel.get_pixel_range();
        panel.draw(&Text::new(name.trim().to_owned(), (244, y - top.start), side(HPos::Right)))?;
    }
    Ok(())
}

/// Over the logarithm: points are at powers of something.
fn curve(panel: &Panel<'_>, table: &Table, column: usize) -> Result<()> {
    let points: Vec<(f64, f64)> =
        values(table, column).into_iter().filter_map(|(name, number)| Some((name.parse().ok()?, number))).collect();
    let [first, last] = [points.first(), points.last()].map(|point| point.map_or(1.0, |(x, _)| *x));
    let most = points.iter().map(|(_, y)| *y).fold(0.0, f64::max).max(1e-9);
    let mut chart = ChartBuilder::on(panel)
        .caption(title(table, column), ("sans-serif", 15))
        .margin(14)
        .x_label_area_size(26)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last.max(first * 2.0)).log_scale(), 0.0..most * 1.2)?;
    chart.configure_mesh().light_line_style(WHITE).draw()?;
    chart.draw_series(LineSeries::new(points.clone(), BLUE.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, BLUE.filled())))?;
    Ok(())
}
