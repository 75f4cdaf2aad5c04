//! Charts as inline SVG: curves over logarithmic axes, and bars with whiskers.

use plotters::{coord::Shift, prelude::*};

const SIZE: (u32, u32) = (900, 360);
const BAR_HEIGHT: u32 = 34;
/// Room for the names of peers beside bars.
const NAMES_WIDTH: u32 = 210;
/// Stands for the text colour of the page, which no other colour of a chart is.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_HEX: &str = "#010203";
/// Told apart on white and on black.
const PALETTE: [RGBColor; 8] = [
    RGBColor(214, 90, 30),
    RGBColor(45, 125, 210),
    RGBColor(38, 155, 105),
    RGBColor(190, 75, 165),
    RGBColor(165, 130, 20),
    RGBColor(120, 115, 215),
    RGBColor(205, 65, 85),
    RGBColor(25, 150, 165),
];

/// A peer and its points.
pub(super) type Curve = (String, Vec<(f64, f64)>);

/// Points by their name, each line from left to right.
pub(super) fn by_name(points: impl Iterator<Item = (String, (f64, f64))>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (name, point) in points {
        match curves.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(point),
            None => curves.push((name, vec![point])),
        }
    }
    for (_, points) in &mut curves {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    curves
}

/// Lines over two logarithmic axes; `label` names a place on the lower one.
pub(super) fn curves(
    curves: &[Curve],
    x_name: &str,
    y_name: &str,
    label: &dyn Fn(f64) -> String,
) -> String {
    draw(SIZE, |area| {
        let points = || curves.iter().flat_map(|(_, points)| points);
        let (left, right) = range(points().map(|point| point.0));
        let (bottom, top) = range(points().map(|point| point.1));
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((left..right).log_scale(), (bottom / 1.3..top * 1.3).log_scale())?;
        let text = ("sans-serif", 14).into_font().color(&INK);
        chart
            .configure_mesh()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .label_style(text.clone())
            .axis_desc_style(text.clone())
            .x_desc(x_name)
            .y_desc(y_name)
            .x_label_formatter(&|x| label(*x))
            .y_label_formatter(&|y| crate::table::short(*y))
            .draw()?;
        for (index, (name, points)) in curves.iter().enumerate() {
            let color = PALETTE[index % PALETTE.len()];
            let line = LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3);
            let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3));
            chart.draw_series(line)?.label(name).legend(key);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(text)
            .border_style(INK.mix(0.3))
            .draw()?;
        Ok(())
    })
}

/// A bar for each name, as long as its median, with a whisker from low to high.
pub(super) fn bars(bars: &[(String, [f64; 3])], unit: &str) -> String {
    let height = BAR_HEIGHT * bars.len() as u32 + 70;
    draw((SIZE.0, height), |area| {
        let top = bars.iter().map(|(_, [_, _, high])| *high).fold(f64::MIN_POSITIVE, f64::max);
        let names: Vec<&str> = bars.iter().map(|(name, _)| name.as_str()).collect();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(NAMES_WIDTH)
            .build_cartesian_2d(
                0.0..top * 1.05,
                (0..bars.len().saturating_sub(1)).into_segmented(),
            )?;
        let text = ("sans-serif", 14).into_font().color(&INK);
        let name = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(index) => names.get(*index).copied().unwrap_or("").to_owned(),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .label_style(text.clone())
            .axis_desc_style(text)
            .x_desc(unit)
            .y_labels(bars.len())
            .y_label_formatter(&name)
            .x_label_formatter(&|x| crate::table::short(*x))
            .draw()?;
        for (index, (_, [low, median, high])) in bars.iter().enumerate() {
            let (below, above) = (SegmentValue::Exact(index), SegmentValue::Exact(index + 1));
            let color = PALETTE[index % PALETTE.len()].filled();
            let mut bar = Rectangle::new([(0.0, below), (*median, above)], color);
            bar.set_margin(5, 5, 0, 0);
            let middle = SegmentValue::CenterOf(index);
            let whisker = [(*low, middle.clone()), (*high, middle)];
            chart.draw_series([bar])?;
            chart.draw_series([PathElement::new(whisker, INK.stroke_width(2))])?;
        }
        Ok(())
    })
}

/// Draws on a transparent ground, in the text colour of the page.
fn draw(
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), DrawError>,
) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    draw(&area).and_then(|()| area.present()).expect("because writing to a string does not fail");
    drop(area);
    svg.replace(INK_HEX, "currentColor")
}

type DrawError = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// The lowest and the highest value, never the same and never zero, as a logarithm needs.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let positive = values.filter(|value| *value > 0.0);
    let (low, high) = positive
        .fold((f64::MAX, 0.0), |(low, high), value| (low.min(value), f64::max(high, value)));
    match low < high {
        true => (low, high),
        false if high > 0.0 => (high / 2.0, high * 2.0),
        false => (1.0, 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_that_a_logarithm_takes() {
        assert_eq!(range([8.0, 0.0, 64.0].into_iter()), (8.0, 64.0));
        assert_eq!(range([8.0].into_iter()), (4.0, 16.0));
        assert_eq!(range([0.0].into_iter()), (1.0, 2.0));
    }

    #[test]
    fn a_bar_is_as_long_as_its_median() {
        let svg = bars(&[("one".into(), [1.0, 2.0, 3.0]), ("two".into(), [4.0, 4.0, 4.0])], "ns");
        assert!(svg.contains("one") && svg.contains("two") && !svg.contains(INK_HEX), "{svg}");
        let widths: Vec<f64> = svg
            .split("<rect")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.05, "{widths:?}");
    }

    #[test]
    fn curves_are_named() {
        let points = [(8.0, 3.0), (64.0, 5.0)].map(|point| ("ring".to_owned(), point));
        let svg = curves(&by_name(points.into_iter()), "bytes", "ns", &|x| format!("{x}"));
        assert!(svg.contains("ring") && svg.contains("bytes"), "{svg}");
    }
}
