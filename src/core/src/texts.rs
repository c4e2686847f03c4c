//! Texts that repeat ten thousand times, each kept once.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The texts that were met.
#[derive(Clone, Debug, Default)]
pub struct Texts(BTreeSet<Arc<str>>);

impl Texts {
    /// The text, shared with whoever asked for it before.
    pub fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text = Arc::<str>::from(text);
        self.0.insert(Arc::clone(&text));
        text
    }

    /// Keeps only what somebody else holds, too.
    pub fn forget_unused(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let mut texts = Texts::default();
        let (one, other) = (texts.shared("a"), texts.shared("a"));
        assert_eq!(
            (&*one, Arc::ptr_eq(&one, &other), &*texts.shared("b")),
            ("a", true, "b")
        );
    }

    #[test]
    fn a_text_that_nobody_holds_is_forgotten() {
        let mut texts = Texts::default();
        let held = texts.shared("held");
        drop(texts.shared("dropped"));
        texts.forget_unused();
        assert_eq!(texts.0.into_iter().collect::<Vec<_>>(), [held]);
    }
}
