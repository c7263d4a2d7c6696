//! The run as a picture: one curve below the other over the same time.

use super::samples::Sample;
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 90.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 30.0;
const GAP: f64 = 40.0;

/// SVG of curves over all samples; the load lasted between these two times.
pub(super) fn svg(samples: &[Sample], (began_s, ended_s): (f64, f64)) -> String {
    let curve = |of: fn(&Sample) -> f64| samples.iter().map(|sample| (sample.at_s, of(sample))).collect::<Vec<_>>();
    let calls = samples.windows(2).map(|pair| {
        let (calls, time) = (pair[1].calls.saturating_sub(pair[0].calls), pair[1].at_s - pair[0].at_s);
        (pair[1].at_s, calls as f64 / time.max(f64::MIN_POSITIVE))
    });
    let panels = [
        ("RSS, MiB", curve(|sample| sample.rss_kib as f64 / 1024.0)),
        ("heap, MiB", curve(|sample| sample.heap_kib as f64 / 1024.0)),
        ("descriptors", curve(|sample| sample.fds as f64)),
        ("threads", curve(|sample| sample.threads as f64)),
        ("sessions", curve(|sample| sample.sessions as f64)),
        ("streams", curve(|sample| sample.streams as f64)),
        ("rows in the store", curve(|sample| sample.rows as f64)),
        ("calls/s", calls.collect()),
    ];
    let whole = samples.last().map_or(1.0, |last| last.at_s).max(1.0);
    let x = |at: f64| LEFT + WIDTH * at / whole;
    let height = TOP + panels.len() as f64 * (HEIGHT + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{0}\" height=\"{height}\" fill=\"#fff\"/>\n",
        LEFT + WIDTH + 20.0
    );
    for (at, (name, points)) in panels.iter().enumerate() {
        let top = TOP + at as f64 * (HEIGHT + GAP);
        let most = points.iter().map(|point| point.1).fold(1.0, f64::max);
        let y = |value: f64| top + HEIGHT * (1.0 - value / most);
        let line: String = points.iter().map(|point| format!("{:.1},{:.1} ", x(point.0), y(point.1))).collect();
        let (bottom, load) = (top + HEIGHT, x(ended_s) - x(began_s));
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{top}\" width=\"{load:.1}\" height=\"{HEIGHT}\" fill=\"#eef3fa\"/>\n\
             <text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{name}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most:.0}</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\n\
             <path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#888\"/>\n\
             <polyline points=\"{line}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.5\"/>\n",
            x(began_s),
            top - 6.0,
            LEFT - 6.0,
            top + 10.0,
            LEFT - 6.0,
            LEFT + WIDTH,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0}\">0 s</text><text x=\"{1}\" y=\"{0}\" text-anchor=\"end\">{whole:.0} s</text>\n</svg>",
        height - 12.0,
        LEFT + WIDTH
    );
    svg
}
