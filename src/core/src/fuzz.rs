//! What strangers write, read by a fuzzer: the tag in a description, an object; Secrets are read in `credential`. In `cargo test` the committed
//! corpus (`__fuzz__/`) and some hundred random inputs; with `cargo dev fuzz` a fuzzer that is led by coverage.

use serde_json::Value;

use crate::object::Object;
use crate::tag::{self, Installation, Owner};

#[test]
fn a_description_is_split_as_it_was_put_together() {
    let owner = Owner::new(&Installation::from_configured("i"), "u-1", "images", "dr");
    bolero::check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let (users, tag) = tag::split(&text);
        assert!(text.starts_with(users));
        if let Some(tag) = tag {
            assert!(text.trim_end().ends_with(tag));
            assert_eq!(tag::split(tag), ("", Some(tag)));
            let _ = (owner.succeeds(tag), tag::uid_of(tag));
        }
        let described = owner.describe(&text);
        assert_eq!(tag::split(&described), (text.trim_end(), Some(owner.tag())));
    });
}

#[test]
fn an_object_of_any_shape_is_read_as_far_as_possible() {
    bolero::check!().for_each(|input: &[u8]| {
        let Ok(value) = serde_json::from_slice::<Value>(input) else {
            return;
        };
        let Some(object) = Object::from_json(value.clone()) else {
            return;
        };
        assert!(object.is_as(&Object::from_json(value).expect("as before")));
        let said = object.desired.as_ref().err();
        assert!(said.is_none_or(|findings| !findings.is_empty()));
        let _ = (
            object.deletion(),
            object.sent(),
            object.known_id(),
            object.ready_reason(),
        );
    });
}
