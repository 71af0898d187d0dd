//! A body in the operator's own words: Jinja over the generic body's names. Read and tried at start,
//! so that a mistake is told then, with its line; bounded in steps and in length, so that a loop ends.

use super::Letter;
use super::words;
use crate::config::webhook::TEMPLATE_BYTES_MAX;
use minijinja::{Environment, UndefinedBehavior};

const NAME: &str = "template";
const STEPS_MAX: u64 = 50_000;
const BODY_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// A text that can be read as a template; whether it can also be rendered is for its first try.
    pub fn parse(text: &str) -> Result<Template, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("longer than {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(STEPS_MAX));
        // A name that does not exist is a mistake and not an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| explain(&error))?;
        Ok(Template { environment })
    }

    pub(super) fn render(&self, letter: &Letter<'_>) -> Result<String, String> {
        let mut facts = words::object(letter.event, letter.cluster);
        facts["at_ms"] = letter.event.at_ms.into();
        facts["headline"] = words::headline(letter.event).into();
        facts["message_id"] = letter.id().into();
        let template = self.environment.get_template(NAME).map_err(|error| explain(&error))?;
        let text = template
            .render(minijinja::Value::from(minijinja::value::Serde(facts)))
            .map_err(|error| explain(&error))?;
        if text.len() > BODY_BYTES_MAX {
            return Err(format!("the template made {} bytes, more than {BODY_BYTES_MAX}", text.len()));
        }
        Ok(text)
    }
}

fn explain(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let template = letter.target.template.as_ref().ok_or("it has no template")?;
    template.render(letter).map(String::into_bytes)
}
