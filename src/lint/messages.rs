//! Mistakes inside of a list of messages: roles, and texts that are empty. Blocks that are not known are
//! nobody's mistake.

use super::Answers;
use super::json::{Node, Value};
use super::look::Look;
use crate::mistake::Mistake;

pub(super) fn rules(look: &mut Look<'_>, list: &str, messages: &[Node], roles: &[&str]) {
    let last = messages.len().saturating_sub(1);
    for (at, message) in messages.iter().enumerate() {
        if look.is_full() {
            return;
        }
        let name = format!("{list}[{at}]");
        if !matches!(message.value, Value::Object(_)) {
            type_of(look, &name, message, "an object with role and content");
            continue;
        }
        role(look, &name, message, roles);
        let is_last = at == last
            && message.field("role").and_then(|role| role.value.text()) == Some("assistant");
        content(look, &name, message, is_last);
    }
}

fn type_of(look: &mut Look<'_>, name: &str, node: &Node, wanted: &str) {
    let message = format!("`{name}` is {}, and takes {wanted}.", node.value.kind());
    let answers = look.answer(Mistake::BodyFieldType, &dotted(name));
    let place = look.body_place(node.at);
    let fix = format!("Write {wanted}.");
    look.found_with(Mistake::BodyFieldType, &place, (message, fix), answers);
}

fn missing(look: &mut Look<'_>, name: &str, node: &Node, wanted: &str) {
    let message = format!("The field `{name}` is missing.");
    let answers = look.answer(Mistake::BodyFieldMissing, &dotted(name));
    let place = look.body_place(node.at);
    look.found_with(
        Mistake::BodyFieldMissing,
        &place,
        (message, format!("Add it: {wanted}.")),
        answers,
    );
}

fn role(look: &mut Look<'_>, name: &str, message: &Node, roles: &[&str]) {
    let name = format!("{name}.role");
    let wanted = roles.join(" or ");
    match message.field("role") {
        None => missing(look, &name, message, &wanted),
        Some(node) => match node.value.text() {
            None => type_of(look, &name, node, &wanted),
            // Newer models of some APIs take instructions among the messages.
            Some(role) if roles.contains(&role) || role == "system" => {}
            Some(_) => {
                let text = format!("`{name}` is none of {}.", roles.join(", "));
                let fix = format!("Write {wanted}.");
                let place = look.body_place(node.at);
                look.found_with(Mistake::BodyFieldType, &place, (text, fix), Answers::Unknown);
            }
        },
    }
}

fn content(look: &mut Look<'_>, name: &str, message: &Node, may_be_empty: bool) {
    let name = format!("{name}.content");
    match message.field("content") {
        // A tool's call of some APIs is a message without content.
        None if message.field("tool_calls").is_some() => {}
        None => missing(look, &name, message, "a text, or a list of blocks"),
        Some(node) => match &node.value {
            Value::Text(text) if text.is_empty() && !may_be_empty => {
                empty(look, &name, node, "non-empty content");
            }
            Value::List(blocks) if blocks.is_empty() && !may_be_empty => {
                empty(look, &name, node, "non-empty content");
            }
            Value::Text(_) => {}
            Value::List(blocks) => {
                for (at, block) in blocks.iter().enumerate() {
                    if look.is_full() {
                        return;
                    }
                    self::block(look, &format!("{name}[{at}]"), block);
                }
            }
            Value::Null if message.field("tool_calls").is_some() => {}
            _ => type_of(look, &name, node, "a text, or a list of blocks"),
        },
    }
}

fn block(look: &mut Look<'_>, name: &str, block: &Node) {
    if !matches!(block.value, Value::Object(_)) {
        type_of(look, name, block, "an object with a type");
        return;
    }
    if block.field("type").and_then(|kind| kind.value.text()) != Some("text") {
        return;
    }
    let name = format!("{name}.text");
    match block.field("text") {
        None => missing(look, &name, block, "a text"),
        Some(node) => match node.value.text() {
            None => type_of(look, &name, node, "a text"),
            Some("") => empty(look, &name, node, "text content blocks"),
            Some(_) => {}
        },
    }
}

fn empty(look: &mut Look<'_>, name: &str, node: &Node, says: &str) {
    let message = format!("`{name}` is empty.");
    let answers = look.answer(Mistake::BodyFieldEmpty, says);
    let place = look.body_place(node.at);
    let fix = "Put a text there, or leave the message or block out.".to_owned();
    look.found_with(Mistake::BodyFieldEmpty, &place, (message, fix), answers);
}

/// A place as the API names it.
fn dotted(name: &str) -> String {
    name.replace('[', ".").replace(']', "")
}
