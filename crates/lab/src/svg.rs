//! Plots as SVG: axes with labels, lines, points with intervals, bars. Colors come from the page, so that it can be light or dark.
//!
//! Lines and points of the first guard have the class `a`, those of the new one the class `b`; they differ in shape too.

use std::fmt::Write;

const WIDTH: f64 = 480.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 24.0;
const BELOW: f64 = 46.0;

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// An axis: what it shows, from where to where, and what is written at which value.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub label: String,
    pub scale: Scale,
    pub range: (f64, f64),
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis in equal steps from 0 to `most`, about five of them, in percent.
    pub fn percent(label: &str, most: f64) -> Axis {
        let step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2].into_iter().find(|step| most / step <= 5.5).unwrap_or(0.25);
        let n = (most / step - 1e-9).ceil().max(1.0) as usize;
        let ticks = (0..=n).map(|i| i as f64 * step);
        let digits = if step < 0.01 { 1 } else { 0 };
        let ticks = ticks.map(|at| (at, format!("{:.digits$} %", 100.0 * at))).collect();
        Axis { label: label.to_string(), scale: Scale::Linear, range: (0.0, n as f64 * step), ticks }
    }

    /// An axis of names, the first one on top.
    pub fn names(names: &[String]) -> Axis {
        let n = names.len() as f64;
        let ticks = names.iter().enumerate().map(|(i, name)| (n - i as f64, name.clone())).collect();
        Axis { label: String::new(), scale: Scale::Linear, range: (0.4, n + 0.6), ticks }
    }

    /// An axis by factors of ten; `write` says how a value is written.
    pub fn log(label: &str, range: (f64, f64), write: impl Fn(f64) -> String) -> Axis {
        let (low, high) = (range.0.log10().floor() as i32, range.1.log10().ceil() as i32);
        let ticks = (low..=high).map(|i| 10f64.powi(i)).map(|at| (at, write(at))).collect();
        Axis { label: label.to_string(), scale: Scale::Log, range: (10f64.powi(low), 10f64.powi(high)), ticks }
    }

    /// Where a value stands, 0 to 1; values beyond an end stand at it.
    fn at(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let share = match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Log => (value.max(low).ln() - low.ln()) / (high.ln() - low.ln()),
        };
        share.clamp(0.0, 1.0)
    }
}

/// A plot in the making.
#[derive(Debug)]
pub(crate) struct Plot {
    x: Axis,
    y: Axis,
    left: f64,
    height: f64,
    out: String,
}

impl Plot {
    /// An empty plot. `title` is read by programs that read pages aloud; `left` is the room for what is written at the y axis.
    pub fn new(title: &str, x: Axis, y: Axis, left: f64, height: f64) -> Plot {
        let mut plot = Plot { x, y, left, height, out: String::new() };
        let all = TOP + height + BELOW;
        plot.put(format!("<svg viewBox=\"0 0 {WIDTH} {all}\" role=\"img\"><title>{}</title>", text(title)));
        for (value, name) in plot.x.ticks.clone() {
            let x = plot.to_x(value);
            plot.put(format!("<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>", TOP + height));
            plot.put(format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                TOP + height + 17.0,
                text(&name)
            ));
        }
        for (value, name) in plot.y.ticks.clone() {
            let y = plot.to_y(value);
            plot.put(format!("<line class=\"grid\" x1=\"{left}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", WIDTH - RIGHT));
            plot.put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, y + 4.0, text(&name)));
        }
        let middle = (left + WIDTH - RIGHT) / 2.0;
        plot.put(format!("<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", all - 8.0, text(&plot.x.label)));
        if !plot.y.label.is_empty() {
            let y = TOP + height / 2.0;
            let label = text(&plot.y.label);
            plot.put(format!("<text transform=\"translate(13 {y:.1}) rotate(-90)\" text-anchor=\"middle\">{label}</text>"));
        }
        plot
    }

    fn put(&mut self, element: String) {
        writeln!(self.out, "{element}").expect("a string takes any text");
    }

    fn to_x(&self, value: f64) -> f64 {
        self.left + self.x.at(value) * (WIDTH - RIGHT - self.left)
    }

    fn to_y(&self, value: f64) -> f64 {
        TOP + (1.0 - self.y.at(value)) * self.height
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let at = |p: &(f64, f64)| format!("{:.1},{:.1}", self.to_x(p.0), self.to_y(p.1));
        let points: Vec<String> = points.iter().map(at).collect();
        self.put(format!("<polyline class=\"line {class}\" points=\"{}\"/>", points.join(" ")));
    }

    /// A limit across the whole plot, at a value of the x axis, or over one name of the y axis.
    pub fn limit(&mut self, value: f64, name_at: Option<f64>) {
        let x = self.to_x(value);
        let (top, bottom) = name_at.map_or((TOP, TOP + self.height), |y| (self.to_y(y + 0.45), self.to_y(y - 0.45)));
        self.put(format!("<line class=\"limit\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"));
    }

    /// A point, hollow for the class `a`.
    pub fn point(&mut self, at: (f64, f64), class: &str) {
        let (x, y) = (self.to_x(at.0), self.to_y(at.1));
        self.put(format!("<circle class=\"point {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"));
    }

    /// An interval along the x axis.
    pub fn across(&mut self, from: f64, to: f64, y: f64, class: &str) {
        let (y, a, b) = (self.to_y(y), self.to_x(from), self.to_x(to));
        self.put(format!("<line class=\"range {class}\" x1=\"{a:.1}\" x2=\"{b:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
    }

    /// An interval along the y axis.
    pub fn up(&mut self, from: f64, to: f64, x: f64, class: &str) {
        let (x, a, b) = (self.to_x(x), self.to_y(from), self.to_y(to));
        self.put(format!("<line class=\"range {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{a:.1}\" y2=\"{b:.1}\"/>"));
    }

    /// A bar that stands on the lower end of the y axis.
    pub fn bar(&mut self, from: f64, to: f64, height: f64, class: &str) {
        let (a, b, y) = (self.to_x(from), self.to_x(to), self.to_y(height));
        let (width, tall) = ((b - a).max(0.5), TOP + self.height - y);
        if tall > 0.0 {
            self.put(format!(
                "<rect class=\"bar {class}\" x=\"{a:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\"/>"
            ));
        }
    }

    /// The finished plot with a caption; `legend` names the classes that it shows.
    pub fn figure(mut self, caption: &str, legend: &[(&str, &str)]) -> String {
        self.put("</svg>".to_string());
        let mark = |(class, name): &(&str, &str)| {
            let sign = match *class {
                "limit" => "<line class=\"limit\" x1=\"7\" x2=\"7\" y1=\"0\" y2=\"14\"/>".to_string(),
                "even" => "<line class=\"line even\" x1=\"0\" x2=\"14\" y1=\"7\" y2=\"7\"/>".to_string(),
                "benign" | "attack" => format!("<rect class=\"bar {class}\" x=\"1\" y=\"1\" width=\"12\" height=\"12\"/>"),
                _ => format!("<circle class=\"point {class}\" cx=\"7\" cy=\"7\" r=\"4\"/>"),
            };
            format!("<span class=\"key\"><svg viewBox=\"0 0 14 14\" aria-hidden=\"true\">{sign}</svg> {}</span>", text(name))
        };
        let legend: String = legend.iter().map(mark).collect();
        format!("<figure>\n<p class=\"legend\">{legend}</p>\n{}<figcaption>{}</figcaption>\n</figure>\n", self.out, text(caption))
    }
}

/// Text without anything that would act as markup.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps_and_place_values() {
        let axis = Axis::percent("FPR", 0.023);
        let names: Vec<&str> = axis.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(names, ["0.0 %", "0.5 %", "1.0 %", "1.5 %", "2.0 %", "2.5 %"]);
        assert_eq!((axis.at(0.0125), axis.at(9.0), axis.at(-1.0)), (0.5, 1.0, 0.0));
        let names = Axis::percent("recall", 1.0).ticks.into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(names, ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        let log = Axis::log("FPR", (0.0002, 1.0), |v| format!("{v}"));
        assert_eq!((log.range, log.ticks.len()), ((1e-4, 1.0), 5));
        assert!((log.at(0.01) - 0.5).abs() < 1e-12 && log.at(0.0) == 0.0);
        let rows = Axis::names(&["top".to_string(), "bottom".to_string()]);
        assert!(rows.at(2.0) > rows.at(1.0));
    }

    #[test]
    fn a_plot_is_one_element_and_foreign_text_stays_text() {
        let mut plot = Plot::new("a <b>", Axis::percent("x & y", 1.0), Axis::percent("y", 1.0), 50.0, 200.0);
        plot.line(&[(0.0, 0.0), (1.0, 1.0)], "b");
        plot.bar(0.0, 0.1, 0.5, "attack");
        let figure = plot.figure("<script>", &[("b", "this guard")]);
        assert!(figure.contains("a &lt;b&gt;") && figure.contains("x &amp; y") && figure.contains("&lt;script&gt;"), "{figure}");
        assert!(figure.contains("points=\"50.0,212.0 456.0,12.0\""), "{figure}");
        assert_eq!(figure.matches("<svg").count(), figure.matches("</svg>").count());
    }
}
