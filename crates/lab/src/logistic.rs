//! Logistic regression on one score: the line that turns it into log-odds.

use levelhead::calibration::sigmoid;

/// A score, the share of attacks among rows that have it, and how much it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub x: f64,
    pub target: f64,
    pub weight: f64,
}

/// log-odds = slope * score + intercept, and the weighted log loss that is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub slope: f64,
    pub intercept: f64,
    pub loss: f64,
}

/// Fits by Newton's method with halved steps, as in Lin, Lin, Weng (Machine Learning 68, 2007).
pub(crate) fn fit_line(points: &[Point]) -> Line {
    let loss = |slope: f64, intercept: f64| -> f64 {
        let of = |p: &Point| {
            let z = slope * p.x + intercept;
            p.weight * (z.max(0.0) - z * p.target + (-z.abs()).exp().ln_1p())
        };
        points.iter().map(of).sum()
    };
    let mut line = Line { slope: 1.0, intercept: 0.0, loss: loss(1.0, 0.0) };
    for _ in 0..100 {
        let (mut g, mut h) = ([0.0; 2], [1e-9, 0.0, 1e-9]);
        for Point { x, target, weight } in points {
            let p = sigmoid(line.slope * x + line.intercept);
            let (error, curve) = (weight * (p - target), weight * p * (1.0 - p));
            g = [g[0] + error * x, g[1] + error];
            h = [h[0] + curve * x * x, h[1] + curve * x, h[2] + curve];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        // Newton's step may overshoot: halve it until the loss falls.
        let mut scale = 1.0;
        let mut next = line;
        while scale > 1e-10 {
            let (slope, intercept) = (line.slope - scale * step[0], line.intercept - scale * step[1]);
            next = Line { slope, intercept, loss: loss(slope, intercept) };
            if next.loss < line.loss {
                break;
            }
            scale *= 0.5;
        }
        if next.loss.is_nan() || next.loss >= line.loss {
            break;
        }
        let gain = line.loss - next.loss;
        line = next;
        if gain < 1e-10 * line.loss {
            break;
        }
    }
    line
}
