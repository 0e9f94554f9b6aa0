//! The schema that a tenant's own rewards keep.
//!
//! A schema refers to nothing outside itself, and its patterns are searched for in linear time.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Faults of one reward that are told.
const TOLD_MAX: usize = 3;

/// Reads a schema.
///
/// # Errors
/// In words, where it is none, or refers to something outside itself.
pub(crate) fn read(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|e| e.to_string())
}

/// Whether a reward keeps a schema.
///
/// # Errors
/// In words, what does not.
pub(super) fn check(schema: &Value, reward: &Map<String, Value>) -> Result<(), String> {
    let schema = read(schema)?;
    let reward = Value::Object(reward.clone());
    let faults = schema.iter_errors(&reward).take(TOLD_MAX);
    let told: Vec<String> = faults
        .map(|fault| format!("{} ({})", fault, fault.instance_path()))
        .collect();
    if told.is_empty() {
        Ok(())
    } else {
        Err(told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_refers_to_nothing_outside_itself() {
        let within = json!({"$defs": {"n": {"type": "integer"}}, "properties": {"spins": {"$ref": "#/$defs/n"}}});
        assert!(read(&within).is_ok());
        for outside in [
            "https://example.com/schema.json",
            "http://127.0.0.1:9/x",
            "file:///etc/passwd",
        ] {
            assert!(read(&json!({ "$ref": outside })).is_err(), "{outside}");
        }
        assert!(read(&json!({"type": "nonsense"})).is_err());
        // A pattern that would take for ever elsewhere is refused or searched for in linear time.
        assert!(read(&json!({"pattern": "(a)\\1"})).is_err());
    }

    #[test]
    fn what_does_not_keep_it_is_told_by_its_place() {
        let schema = json!({
            "type": "object", "required": ["spins"],
            "properties": {"spins": {"type": "integer", "minimum": 1}}, "additionalProperties": false,
        });
        let check = |reward: &Value| check(&schema, reward.as_object().unwrap());
        assert_eq!(check(&json!({"spins": 3})), Ok(()));
        let told = check(&json!({"spins": 0})).unwrap_err();
        assert!(told.contains("/spins"), "{told}");
        assert!(check(&json!({"spins": 1, "more": 2})).is_err());
        assert!(check(&json!({})).is_err());
    }
}
