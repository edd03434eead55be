//! One form for what may be written in several, and merging of values.

use super::node::{Fields, Node};

/// Brings a service's fields into the form that merging and reading need.
pub fn canonical(service: &mut Fields) {
    pairs(service, "environment", Node::Null);
    if let Some(Node::Text(path)) = service.get("env_file") {
        let list = Node::List(vec![Node::Text(path.clone())]);
        service.insert("env_file".to_owned(), list);
    }
    if let Some(Node::Text(context)) = service.get("build") {
        let context = Node::Text(context.clone());
        service.insert("build".to_owned(), Node::Map(Fields::from([("context".to_owned(), context)])));
    }
    if let Some(Node::Map(build)) = service.get_mut("build") {
        pairs(build, "args", Node::Null);
        pairs(build, "labels", Node::Text(String::new()));
        pairs(build, "additional_contexts", Node::Text(String::new()));
        pairs(build, "ssh", Node::Null);
        hosts(build);
    }
}

/// `- name=value` as a mapping.
fn pairs(fields: &mut Fields, key: &str, without: Node) {
    let value = match fields.get_mut(key) {
        Some(Node::Override(inner)) => &mut **inner,
        Some(value) => value,
        None => return,
    };
    let Node::List(items) = value else { return };
    let mut found = Fields::new();
    for item in items.iter() {
        let Some(text) = item.to_text() else { return };
        match text.split_once('=') {
            Some((name, value)) => found.insert(name.to_owned(), Node::Text(value.to_owned())),
            None => found.insert(text, without.clone()),
        };
    }
    *value = Node::Map(found);
}

/// `- name=address`, `- name:address` as a mapping of lists.
fn hosts(build: &mut Fields) {
    let Some(value) = build.get_mut("extra_hosts") else { return };
    let mut found = Fields::new();
    let mut add = |name: &str, address: String| {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = Node::Text(bare.map_or_else(|| address.clone(), str::to_owned));
        if let Node::List(list) = found.entry(name.to_owned()).or_insert_with(|| Node::List(Vec::new())) {
            list.push(address);
        }
    };
    match value {
        Node::List(items) => {
            for item in items.iter() {
                let Some(text) = item.to_text() else { return };
                let split = text.split_once('=').or_else(|| text.split_once(':'));
                let Some((name, address)) = split else { return };
                add(name, address.to_owned());
            }
        }
        Node::Map(fields) => {
            for (name, addresses) in fields.iter() {
                match addresses {
                    Node::List(all) => all.iter().filter_map(Node::to_text).for_each(|one| add(name, one)),
                    one => one.to_text().into_iter().for_each(|one| add(name, one)),
                }
            }
        }
        _ => return,
    }
    *value = Node::Map(found);
}

/// Puts what a later file says over what an earlier one says.
///
/// # Errors
/// The two are of different kinds.
pub fn merge(base: Node, over: Node, path: &str) -> Result<Node, String> {
    match (base, over) {
        (_, Node::Override(inner)) => Ok(*inner),
        (base, Node::Null) => Ok(base),
        (Node::Null | Node::Reset, over) => Ok(over),
        (Node::Override(base), over) => merge(*base, over, path),
        (Node::Map(mut base), Node::Map(over)) => {
            merge_fields(&mut base, over, path)?;
            Ok(Node::Map(base))
        }
        (Node::List(mut base), Node::List(over)) => {
            for item in over {
                if !base.contains(&item) {
                    base.push(item);
                }
            }
            Ok(Node::List(base))
        }
        (Node::Map(_) | Node::List(_), _) => Err(format!("cannot override {path}")),
        (_, over) => Ok(over),
    }
}

/// Merges mappings.
///
/// # Errors
/// Two values are of different kinds.
pub fn merge_fields(base: &mut Fields, over: Fields, path: &str) -> Result<(), String> {
    for (key, value) in over {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (base.remove(&key), value) {
            (_, Node::Reset) => {}
            (None, value) => drop(base.insert(key, value)),
            (Some(before), value) => drop(base.insert(key, merge(before, value, &path)?)),
        }
    }
    Ok(())
}

/// Takes out what steers merging.
pub fn settle(node: &mut Node) {
    match node {
        Node::Override(inner) => {
            settle(inner);
            *node = std::mem::replace(inner, Node::Null);
        }
        Node::List(items) => {
            items.retain(|item| *item != Node::Reset);
            items.iter_mut().for_each(settle);
        }
        Node::Map(fields) => {
            fields.retain(|_, value| *value != Node::Reset);
            fields.values_mut().for_each(settle);
        }
        Node::Reset => *node = Node::Null,
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
    }
}
