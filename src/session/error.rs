//! Refusals of the session's own commands, word for word as Redis 7 gives them.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    /// Code and text, as `ERR ...`.
    #[error("{0}")]
    Text(String),
}

impl From<&'static str> for SessionError {
    fn from(text: &'static str) -> Self {
        SessionError::Text(text.to_owned())
    }
}
