//! Figures over N -> SVG. Both axes are logarithmic, so that growth by a power is a line and its slope the exponent.

use std::fmt::Display;
use std::ops::Range;

use plotters::prelude::*;

use crate::Error;

const SIZE: (u32, u32) = (720, 420);
/// Told apart by eyes that see no red or no green, too.
const COLOURS: [RGBColor; 5] = [
    RGBColor(120, 120, 120),
    RGBColor(0, 90, 181),
    RGBColor(220, 120, 0),
    RGBColor(0, 140, 110),
    RGBColor(170, 60, 140),
];
/// Whoever reads the source of a picture finds the same font as in its page.
const FONT: &str = "sans-serif";

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// N and the figure, by N.
    pub(crate) points: Vec<(f64, f64)>,
}

/// What a plot shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plot {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    /// With its unit.
    pub(crate) figure: &'static str,
    pub(crate) lines: Vec<Line>,
}

impl Plot {
    /// None when there is nothing above zero to draw.
    pub(crate) fn svg(&self) -> Result<Option<String>, Error> {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let Some((x, y)) =
            bounds(all().map(|point| point.0)).zip(bounds(all().map(|point| point.1)))
        else {
            return Ok(None);
        };
        let mut svg = String::new();
        self.draw(&mut svg, x, y).map_err(|why| Error::Unexpected {
            expected: format!("the plot {}", self.file),
            seen: why.to_string(),
        })?;
        // A text file ends with the end of a line.
        Ok(Some(svg.trim_end().to_owned() + "\n"))
    }

    fn draw(
        &self,
        svg: &mut String,
        x: Range<f64>,
        y: Range<f64>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, (FONT, 18))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x.log_scale(), y.log_scale())?;
        chart
            .configure_mesh()
            .x_desc("objects")
            .y_desc(self.figure)
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 14))
            .light_line_style(WHITE)
            .x_label_formatter(&|n| label(*n))
            .y_label_formatter(&|figure| label(*figure))
            .draw()?;
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points = line.points.iter().copied().filter(|point| point.1 > 0.0);
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
            chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font((FONT, 13))
            .background_style(WHITE.filled())
            .border_style(RGBColor(200, 200, 200))
            .draw()?;
        drop(chart);
        area.present()?;
        Ok(())
    }
}

/// What is above zero, with room around it.
fn bounds(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (least, most) =
        values
            .filter(|value| *value > 0.0)
            .fold(None, |bounds: Option<(f64, f64)>, value| {
                let (least, most) = bounds.unwrap_or((value, value));
                Some((least.min(value), most.max(value)))
            })?;
    // The marks of an axis begin with its first power of ten.
    let decade = 10_f64.powf((least / 1.2).log10().floor());
    Some(decade..most * 2.0)
}

/// Only 1, 2 and 5 of each decade have room for their numbers.
fn label(value: f64) -> String {
    let leading = value / 10_f64.powf(value.log10().floor());
    let has_room = [1.0, 2.0, 5.0, 10.0]
        .iter()
        .any(|digit| (leading - digit).abs() < 0.01);
    if has_room {
        shown(value)
    } else {
        String::new()
    }
}

/// `0.1`, `10`, `1,000`
fn shown(value: f64) -> String {
    if value < 1.0 {
        return trimmed(&format!("{value:.3}"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a label of an axis, at least 1"
    )]
    let whole = value.round() as u64;
    thousands(whole)
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `10,000`
pub(crate) fn thousands(value: impl Display) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_by_people() {
        assert_eq!([300.0, 500.0, 0.9, 0.2].map(label), ["", "500", "", "0.2"]);
        assert_eq!(
            [0.1, 0.02, 10.0, 1_000.0, 1_000_000.0].map(shown),
            ["0.1", "0.02", "10", "1,000", "1,000,000"]
        );
    }

    #[test]
    fn a_plot_has_a_line_for_each_name_and_the_unit_on_its_axis() {
        let line = |name: &str, factor: f64| Line {
            name: name.to_owned(),
            points: [100.0, 1_000.0].map(|n| (n, n * factor)).into(),
        };
        let plot = Plot {
            file: "x.svg",
            title: "Create",
            figure: "seconds",
            lines: vec![line("raw", 0.01), line("ours", 0.02)],
        };
        let svg = plot.svg().expect("a picture").expect("something to draw");
        for text in ["Create", "seconds", "objects", "raw", "ours", "1,000"] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
        let empty = Plot {
            lines: vec![line("raw", 0.0)],
            ..plot
        };
        assert_eq!(empty.svg().expect("no failure"), None);
    }
}
