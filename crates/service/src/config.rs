//! Configuration from variables, read once through a look-up so that no test has to set one.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use crate::{BoxError, Secret, http::Hosts};

/// A variable that cannot be used. The message names it, never its value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It must be set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Its value has the wrong form.
    #[error("{name} must be {expected}")]
    Invalid {
        /// Which variable.
        name: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
}

/// Tells a variable's value, if it is set.
type Get<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where variables come from.
pub struct Lookup<'a>(Box<Get<'a>>);

impl fmt::Debug for Lookup<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lookup")
    }
}

impl<'a> Lookup<'a> {
    /// Variables as `get` tells them.
    pub fn new(get: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self(Box::new(get))
    }

    /// The variables of this process.
    #[must_use]
    pub fn environment() -> Lookup<'static> {
        Lookup::new(|name| std::env::var(name).ok())
    }

    /// A variable's value. An empty one counts as not set: templates cannot leave one out.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// A variable's value as a `T`, or `default` if it is not set.
    pub fn parse<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| ConfigError::Invalid { name, expected })
    }

    /// A variable's value as a whole number of seconds, or `default` if it is not set.
    pub fn seconds(&self, name: &'static str, default: Duration) -> Result<Duration, ConfigError> {
        self.parse(name, "a whole number of seconds", default.as_secs()).map(Duration::from_secs)
    }

    /// A variable's value as [`parse_switch`] reads it, or `default` if it is not set.
    pub fn switch(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        parse_switch(&text).ok_or(ConfigError::Invalid { name, expected: "on, off, true or false" })
    }
}

/// What somebody switches on (`on`, `true`) or off (`off`, `false`).
#[must_use]
pub fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

/// Who may read `/songs`. A stream's URL can be played by whoever has it in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadAccess {
    /// Anyone.
    #[default]
    Public,
    /// Whoever has the API key.
    Key,
}

impl FromStr for ReadAccess {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "public" => Ok(Self::Public),
            "key" => Ok(Self::Key),
            _ => Err(()),
        }
    }
}

/// A prefix of every path, such as a stage: empty, or `/…` without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BasePath(String);

impl FromStr for BasePath {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let path = text.trim_matches('/');
        let allowed =
            |character: char| character.is_ascii_alphanumeric() || "-._~/".contains(character);
        match path {
            "" => Ok(Self::default()),
            _ if path.chars().all(allowed) && !path.contains("//") => Ok(Self(format!("/{path}"))),
            _ => Err(()),
        }
    }
}

/// How a function is served.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on where there is no Lambda; loopback only by default. `HOST`
    pub host: IpAddr,
    /// The port to listen on; 0 for any that is free; 8080 by default. `PORT`
    pub port: u16,
    /// A stage or mapping prefix, stripped from every path that comes in and put before every one
    /// that goes out; none by default. `BASE_PATH`
    pub(crate) base_path: BasePath,
    /// The key that writing needs; none by default. `API_KEY`, or an ARN in `API_KEY_SECRET_ARN`
    pub api_key: Option<Secret>,
    /// Who may read: `public` (default) or `key`. `READ_ACCESS`
    pub read_access: ReadAccess,
    /// Whether to listen beyond loopback with no key, so that anyone who reaches the port can
    /// write; `false` by default. `ALLOW_ANONYMOUS_WRITES`
    pub allow_anonymous_writes: bool,
    /// When a request is answered with 503 because it takes too long: none by default, 25 s on
    /// Lambda, whose gateway gives up at 29. `REQUEST_TIMEOUT_SECONDS`
    pub request_timeout: Option<Duration>,
    /// How long a client may be silent, where no gateway is before us: before a request, in the
    /// middle of one, or in the middle of taking its answer; and over which time it must move at
    /// least 1 KiB a second on average. 30 s by default. `CLIENT_TIMEOUT_SECONDS`
    pub client_timeout: Duration,
    /// How long requests may take to finish once the process was asked to end; 20 s by default.
    /// `SHUTDOWN_SECONDS`
    pub shutdown: Duration,
    /// How many connections there may be, as far as file descriptors allow; 2,048 by default.
    /// `MAX_CONNECTIONS`
    pub max_connections: usize,
    /// How many of them one address may have; 512 by default. Behind a proxy, all have its address.
    /// `MAX_CONNECTIONS_PER_ADDRESS`
    pub max_connections_per_address: usize,
    /// The names under which the server answers, beside `localhost` and every IP address; without
    /// a key no others by default, with a key any. `ALLOWED_HOSTS`
    pub(crate) allowed_hosts: Option<Hosts>,
    /// How many bytes the bodies of all answers may take together; 192 MiB by default.
    /// `RESPONSE_MEMORY_BYTES`
    pub response_memory: u64,
    /// Whether Lambda calls this process, as it does where it tells `AWS_LAMBDA_RUNTIME_API`
    pub on_lambda: bool,
    /// How many bytes of audio one request may carry: any number by default, 4 MiB on Lambda, which
    /// carries 6 MB of base64; larger songs go to `/uploads`. `REQUEST_LIMIT_BYTES`
    pub request_limit: Option<u64>,
    /// How many bytes of body one answer may have: any number by default, 4 MiB on Lambda, which
    /// carries 6 MB of base64. `RESPONSE_LIMIT_BYTES`
    pub response_limit: Option<u64>,
}

impl HttpConfig {
    /// Reads the configuration.
    pub fn from_lookup(lookup: &Lookup<'_>) -> Result<Self, ConfigError> {
        let on_lambda = lookup.text("AWS_LAMBDA_RUNTIME_API").is_some();
        let timeout = lookup.seconds(
            "REQUEST_TIMEOUT_SECONDS",
            Duration::from_secs(if on_lambda { 25 } else { 0 }),
        )?;
        let limit = |name| {
            lookup
                .parse(name, "a number of bytes", if on_lambda { 4 * 1024 * 1024 } else { 0 })
                .map(|limit| (limit > 0).then_some(limit))
        };
        let number = |name, default: usize| {
            lookup.parse(name, "a number", default).map(|number| number.max(1))
        };
        Ok(Self {
            host: lookup.parse("HOST", "an IP address", IpAddr::from([127, 0, 0, 1]))?,
            port: lookup.parse("PORT", "a port number", 8080)?,
            base_path: lookup.parse("BASE_PATH", "a path such as /prod", BasePath::default())?,
            api_key: Secret::from_lookup(lookup, "API_KEY", "API_KEY_SECRET_ARN"),
            read_access: lookup.parse("READ_ACCESS", "public or key", ReadAccess::Public)?,
            allow_anonymous_writes: lookup.switch("ALLOW_ANONYMOUS_WRITES", false)?,
            client_timeout: lookup
                .seconds("CLIENT_TIMEOUT_SECONDS", Duration::from_secs(30))?
                .max(Duration::from_secs(1)),
            shutdown: lookup.seconds("SHUTDOWN_SECONDS", Duration::from_secs(20))?,
            max_connections: number("MAX_CONNECTIONS", 2048)?,
            max_connections_per_address: number("MAX_CONNECTIONS_PER_ADDRESS", 512)?,
            allowed_hosts: lookup
                .text("ALLOWED_HOSTS")
                .map(|list| {
                    let expected = "host names with commas between, or *";
                    list.parse()
                        .map_err(|()| ConfigError::Invalid { name: "ALLOWED_HOSTS", expected })
                })
                .transpose()?,
            response_memory: lookup.parse(
                "RESPONSE_MEMORY_BYTES",
                "a number of bytes",
                192 * 1024 * 1024,
            )?,
            on_lambda,
            request_limit: limit("REQUEST_LIMIT_BYTES")?,
            response_limit: limit("RESPONSE_LIMIT_BYTES")?,
            request_timeout: (!timeout.is_zero()).then_some(timeout),
        })
    }

    /// The API key, if there is one.
    pub async fn resolve_key(&self) -> Result<Option<String>, BoxError> {
        match &self.api_key {
            Some(secret) => secret.resolve().await.map(Some),
            None => Ok(None),
        }
    }

    /// The prefix of every path that goes out: empty, or `/…` without a slash at its end.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<HttpConfig, ConfigError> {
        HttpConfig::from_lookup(&Lookup::new(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let config = config(&[("API_KEY", ""), ("PORT", "")]).expect("is valid");
        assert_eq!((config.api_key, config.port), (None, 8080));
    }

    #[test]
    fn a_switch_is_on_or_off_and_nothing_else() {
        for (text, expected) in [("on", true), ("true", true), ("off", false), ("false", false)] {
            let config = config(&[("ALLOW_ANONYMOUS_WRITES", text)]).expect("is valid");
            assert_eq!(config.allow_anonymous_writes, expected, "{text}");
        }
        assert!(config(&[("ALLOW_ANONYMOUS_WRITES", "perhaps")]).is_err());
    }

    #[test]
    fn a_base_path_is_spelled_one_way() {
        for (given, expected) in [("", ""), ("/", ""), ("prod", "/prod"), ("/a/b/", "/a/b")] {
            assert_eq!(config(&[("BASE_PATH", given)]).expect("is valid").base_path(), expected);
        }
        assert!(config(&[("BASE_PATH", "/a{b}")]).is_err());
    }

    #[test]
    fn a_wrong_value_is_refused_by_name_and_not_told() {
        let error = config(&[("PORT", "hunter2")]).expect_err("is not a port").to_string();
        assert_eq!(error, "PORT must be a port number");
    }

    #[test]
    fn requests_are_cut_on_lambda_only() {
        assert_eq!(config(&[]).expect("is valid").request_timeout, None);
        let on_lambda = config(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]).expect("is valid");
        assert_eq!(on_lambda.request_timeout, Some(Duration::from_secs(25)));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let config = config(&[("API_KEY", "hunter2")]).expect("is valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
