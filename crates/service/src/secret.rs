//! Secrets: by value, or by the ARN that AWS Secrets Manager keeps them under.

use std::fmt;

use crate::{BoxError, Lookup, problem::chain};

/// A secret that a function is configured with.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Value(String),
    /// The ARN of an AWS Secrets Manager secret that holds it.
    Arn(String),
}

impl Secret {
    /// The secret in `name`, or the one whose ARN is in `arn_name`.
    #[must_use]
    pub fn from_lookup(lookup: &Lookup<'_>, name: &str, arn_name: &str) -> Option<Self> {
        let value = lookup.text(name).map(Self::Value);
        value.or_else(|| lookup.text(arn_name).map(Self::Arn))
    }

    /// The secret's value, without the line end that files and editors put behind one. Only an ARN
    /// costs a request, and the time to set up a client for it.
    ///
    /// # Errors
    /// If it cannot be read, or is empty.
    pub async fn resolve(&self) -> Result<String, BoxError> {
        let value = match self {
            Self::Value(value) => value.clone(),
            Self::Arn(arn) => fetch(arn).await?,
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            return Err(format!("a secret is empty: {self:?}").into());
        }
        Ok(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Value(…)"),
            Self::Arn(arn) => formatter.debug_tuple("Arn").field(arn).finish(),
        }
    }
}

async fn fetch(arn: &str) -> Result<String, BoxError> {
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest());
    // arn:partition:secretsmanager:region:… may be another region than the function's.
    if let Some(region) = arn.split(':').nth(3).filter(|region| !region.is_empty()) {
        loader = loader.region(aws_config::Region::new(region.to_owned()));
    }
    let config = loader.load().await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let answer = client.get_secret_value().secret_id(arn).send().await.map_err(|error| {
        // Its own form for the log holds the whole response, and so perhaps the secret.
        format!("cannot read the secret {arn}: {}", chain(&error.into_service_error()))
    })?;
    let secret = answer.secret_string().ok_or_else(|| format!("{arn} holds no text"))?;
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_end_behind_a_secret_is_no_part_of_it() {
        for given in ["a key", "a key\n", "a key\r\n"] {
            let secret = Secret::Value(given.to_owned());
            assert_eq!(secret.resolve().await.expect("has a value"), "a key", "{given:?}");
        }
        assert!(Secret::Value("\n".to_owned()).resolve().await.is_err(), "it is empty");
    }
}
