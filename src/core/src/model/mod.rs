//! The nouns: what is desired, what is observed, whose it is, and what the world may answer.

pub mod answer;
pub mod credential;
pub mod desired;
pub mod failure;
pub mod instance;
pub mod object;
pub mod observed;
pub mod tag;
pub mod url;
