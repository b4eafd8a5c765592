//! Settings from environment variables.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::ConfigError;

/// Reads typed values from environment variables.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let value = (self.0)(name).filter(|value| !value.is_empty());
        let text = value.map(OsString::into_string).transpose();
        text.map_err(|_| ConfigError::Variable { name, message: "it is not UTF-8".to_owned() })
    }

    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.text(name)?.map(|text| text.trim().parse()).transpose();
        value.map_err(|error: T::Err| ConfigError::Variable { name, message: error.to_string() })
    }

    pub(super) fn list<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let items = text.split(',').map(|item| item.trim().parse()).collect::<Result<_, T::Err>>();
        items.map(Some).map_err(|error| ConfigError::Variable { name, message: error.to_string() })
    }

    pub(super) fn switch(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::Variable { name, message: "say true or false".to_owned() }),
        }
    }
}
