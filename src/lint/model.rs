//! The model that a request names, beside those that were known when this was written.

use super::Answers;
use super::json::Node;
use super::look::{Look, meant, shown_name};
use crate::mistake::Mistake;
use crate::provider::request::Model;

pub(super) fn rules(look: &mut Look<'_>, node: &Node) {
    let models = look.wants.models;
    let Some(name) = node.value.text().filter(|name| !name.is_empty() && !models.is_empty()) else {
        return;
    };
    let place = look.body_place(node.at);
    let shown = shown_name(name);
    let said = shown.map_or_else(|| "The model".to_owned(), |name| format!("The model {name}"));
    let Some(model) = known(models, name) else {
        // A gateway has names of its own.
        if !look.is_own_host() {
            return;
        }
        let ids: Vec<&str> = models.iter().map(|model| model.id.trim_end_matches('*')).collect();
        let message = format!("{said} is none of those that this version of egressd knows.");
        let fix = match meant(name, &ids) {
            Some(hint) => format!("{} Else ask the API for its list of models.", capital(&hint)),
            None => {
                "Ask the API for its list of models; a newer one may not be known here.".to_owned()
            }
        };
        // A model that is not known here may be there all the same.
        look.found_with(Mistake::ModelUnknown, &place, (message, fix), Answers::Unknown);
        return;
    };
    let Some(day) = model.retired else { return };
    let gone = day <= look.around.today;
    let message = if gone {
        format!("{said} was retired on {day}.")
    } else {
        format!("{said} will be retired on {day}.")
    };
    let fix = "Choose one of the API's list of models that is in use.".to_owned();
    let answers = look.answer(Mistake::ModelRetired, shown.unwrap_or_default());
    look.found_with(Mistake::ModelRetired, &place, (message, fix), answers);
    if !gone {
        look.soften();
    }
}

/// The row of a model: the one that says most of its id.
fn known(models: &'static [Model], name: &str) -> Option<&'static Model> {
    let is = |model: &&Model| match model.id.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == model.id,
    };
    models.iter().filter(is).max_by_key(|model| model.id.len())
}

fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
