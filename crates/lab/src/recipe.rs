//! Recipes: which strategies make the rows of a false positive, in which order and in which shares.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::strategy::Strategy;

/// A recipe.
///
/// The rows of each false positive are dealt to the strategies by their shares; what one cannot give falls to the others in
/// the recipe's order, so a strategy with share 0 is a last resort.
///
/// ```
/// use levelhead_lab::{recipe::Recipe, strategy::Strategy};
/// let recipe = Recipe::parse("my.toml", "[[strategy]]\nname = 'neighbor'\nshare = 4\n[[strategy]]\nname = 'frame'\n").unwrap();
/// assert_eq!(recipe.steps, [(Strategy::Neighbor, 4.0), (Strategy::Frame, 1.0)]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Strategies and their shares.
    pub steps: Vec<(Strategy, f64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    strategy: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    #[serde(default = "one")]
    share: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for Recipe {
    /// Real prompts while there are any; rephrasings where they run out. Alone, the other strategies gained nothing that could
    /// be told from nothing (`levelhead ablate`; docs/reinforcement.md).
    fn default() -> Recipe {
        Recipe { steps: vec![(Strategy::Neighbor, 1.0), (Strategy::Frame, 0.0)] }
    }
}

impl Recipe {
    /// One strategy alone.
    pub fn alone(strategy: Strategy) -> Recipe {
        Recipe { steps: vec![(strategy, 1.0)] }
    }

    /// Every strategy that asks nobody, with the same share.
    pub fn all() -> Recipe {
        Recipe { steps: Strategy::OFFLINE.map(|strategy| (strategy, 1.0)).into() }
    }

    /// The recipe without one of its strategies.
    pub fn without(mut self, left_out: Strategy) -> Recipe {
        self.steps.retain(|(strategy, _)| *strategy != left_out);
        self
    }

    /// The recipe with the false positives themselves first, at one row of `n` each.
    pub fn with_originals(mut self, n: usize) -> Recipe {
        let others: f64 = self.steps.iter().map(|step| step.1).sum();
        self = self.without(Strategy::Original);
        let share = if others > 0.0 { others / (n.max(2) - 1) as f64 } else { 1.0 };
        self.steps.insert(0, (Strategy::Original, share));
        self
    }

    /// The recipe with a model that writes, with a share of 1, before the last resorts.
    pub fn with_llm(mut self) -> Recipe {
        self = self.without(Strategy::Llm);
        let at = self.steps.iter().position(|step| step.1 == 0.0).unwrap_or(self.steps.len());
        self.steps.insert(at, (Strategy::Llm, 1.0));
        self
    }

    /// Whether it asks a model.
    pub fn asks(&self) -> bool {
        self.steps.iter().any(|(strategy, _)| *strategy == Strategy::Llm)
    }

    /// Reads a recipe from TOML; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Format`] for what is no recipe, an unknown or a repeated strategy, and shares that give nothing.
    pub fn parse(name: &str, text: &str) -> Result<Recipe> {
        let fault = |reason: String| Error::format(Path::new(name), reason);
        let file: File = toml::from_str(text).map_err(|e| fault(e.message().to_string()))?;
        let mut steps: Vec<(Strategy, f64)> = Vec::new();
        for Step { name, share } in file.strategy {
            let names = Strategy::ALL.map(Strategy::name).join(", ");
            let strategy =
                Strategy::named(&name).ok_or_else(|| fault(format!("strategy {name:?} is unknown: there are {names}")))?;
            if steps.iter().any(|step| step.0 == strategy) {
                return Err(fault(format!("strategy {name} stands there twice: give it one share")));
            }
            if !(share >= 0.0 && share.is_finite()) {
                return Err(fault(format!("strategy {name}: share {share} is below 0")));
            }
            if strategy == Strategy::Llm && share == 0.0 {
                let reason =
                    "strategy llm: share 0: a model is asked before any row is made, so it is no last resort: give it a share";
                return Err(fault(reason.to_string()));
            }
            steps.push((strategy, share));
        }
        if steps.iter().all(|step| step.1 == 0.0) {
            return Err(fault("no strategy has a share above 0".to_string()));
        }
        Ok(Recipe { steps })
    }
}

/// Deals turns out by share, as evenly as can be: the step that is furthest behind is next.
#[derive(Debug)]
pub(crate) struct Turns {
    shares: Vec<f64>,
    behind: Vec<f64>,
}

impl Turns {
    pub fn new(recipe: &Recipe) -> Turns {
        let total: f64 = recipe.steps.iter().map(|step| step.1).sum();
        let shares: Vec<f64> = recipe.steps.iter().map(|step| step.1 / total).collect();
        Turns { behind: vec![0.0; shares.len()], shares }
    }

    /// How many of the next `n` turns each step gets.
    pub fn deal(&mut self, n: usize) -> Vec<usize> {
        let mut dealt = vec![0; self.shares.len()];
        for _ in 0..n {
            self.behind.iter_mut().zip(&self.shares).for_each(|(behind, share)| *behind += share);
            // The first of equals, so that the recipe's order decides.
            let next = (0..dealt.len()).rev().max_by(|a, b| self.behind[*a].total_cmp(&self.behind[*b])).unwrap_or(0);
            self.behind[next] -= 1.0;
            dealt[next] += 1;
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_dealt_by_share() {
        let recipe = Recipe { steps: vec![(Strategy::Neighbor, 3.0), (Strategy::Frame, 1.0), (Strategy::Format, 0.0)] };
        let mut turns = Turns::new(&recipe);
        assert_eq!(turns.deal(4), [3, 1, 0]);
        let more: Vec<Vec<usize>> = (0..20).map(|_| turns.deal(5)).collect();
        assert_eq!(more.iter().map(|d| d[1]).sum::<usize>(), 25);
        assert!(more.iter().all(|d| d.iter().sum::<usize>() == 5 && d[2] == 0));
    }

    #[test]
    fn originals_get_one_row_of_each_false_positive() {
        let mut turns = Turns::new(&Recipe::default().with_originals(5));
        assert!((0..20).all(|_| turns.deal(5)[0] == 1));
        assert_eq!(Recipe::alone(Strategy::Original).with_originals(1), Recipe::alone(Strategy::Original));
    }

    #[test]
    fn a_model_comes_before_the_last_resorts() {
        let recipe = Recipe::default().with_llm();
        assert_eq!(recipe.steps, [(Strategy::Neighbor, 1.0), (Strategy::Llm, 1.0), (Strategy::Frame, 0.0)]);
        assert!(recipe.asks() && !Recipe::default().asks() && !Recipe::all().asks());
    }

    #[test]
    fn a_malformed_recipe_is_rejected_with_the_reason() {
        let rows = [
            ("", "missing field `strategy`"),
            ("[[strategy]]\nname = 'magic'", "strategy \"magic\" is unknown: there are original, neighbor,"),
            ("[[strategy]]\nname = 'frame'\n[[strategy]]\nname = 'frame'", "frame stands there twice"),
            ("[[strategy]]\nname = 'frame'\nshare = -1", "share -1 is below 0"),
            ("[[strategy]]\nname = 'frame'\nshare = 0", "no strategy has a share above 0"),
            ("[[strategy]]\nname = 'llm'\nshare = 0", "strategy llm: share 0: a model is asked before"),
            ("[[strategy]]\nname = 'frame'\nweight = 1", "unknown field `weight`"),
        ];
        for (text, expected) in rows {
            let error = Recipe::parse("r.toml", text).unwrap_err().to_string();
            assert!(error.starts_with("r.toml") && error.contains(expected), "{error}");
        }
    }
}
