//! Every front door that the functions have, over one database.

use std::{fmt, sync::Arc};

use store::{Store, testing::TestDatabase};
use tempfile::TempDir;

use crate::{
    binary::root,
    emulator::Function,
    events,
    http_client::{Answer, Request},
    recorder::Recorder,
    server::Server,
};

/// The key of every function that a test starts here.
pub const API_KEY: &str = "correct-horse-battery-staple";

/// Headers that say how an answer was carried, or name it; they differ from door to door.
const OF_THE_DOOR: [&str; 5] =
    ["connection", "content-length", "date", "transfer-encoding", "x-request-id"];

/// What stands before the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// API Gateway's HTTP API, which the template has.
    HttpApi,
    /// API Gateway's REST API.
    RestApi,
    /// A Lambda function URL.
    FunctionUrl,
    /// Nothing: the functions are HTTP servers.
    Plain,
}

/// Both functions behind one front.
pub struct Door {
    front: Front,
    base_path: String,
    crud: Program,
    streaming: Program,
}

enum Program {
    Function(Function),
    Server(Server),
}

/// All four doors, over one MongoDB database.
pub struct Doors {
    fronts: Vec<Door>,
    /// The database, for what a test puts there.
    pub store: Arc<dyn Store>,
    database: TestDatabase,
    _work_dir: TempDir,
}

impl Doors {
    /// Opens all doors, with these variables beside the usual ones.
    ///
    /// # Panics
    /// If a function does not start.
    pub async fn open(variables: &[(&str, &str)]) -> Self {
        let database = TestDatabase::mongodb();
        let store = store::open(database.url()).await.expect("opens");
        let work_dir = tempfile::tempdir().expect("makes a directory");
        let base_path = variables.iter().find(|(name, _)| *name == "BASE_PATH");
        let base_path = base_path.map_or("", |(_, value)| value);
        let ffmpeg = root().join("target/ffmpeg/bin/ffmpeg").display().to_string();
        let work = work_dir.path().display().to_string();
        // Takes jobs, which nobody does. It listens for as long as the test runs.
        let lambda = Recorder::start(202).await;
        let mut all = vec![
            ("DATABASE_URL", database.url()),
            ("API_KEY", API_KEY),
            ("FFMPEG", &ffmpeg),
            ("WORK_DIR", &work),
            ("AWS_ENDPOINT_URL_LAMBDA", lambda.url()),
        ];
        all.extend(variables);
        let mut doors = Vec::new();
        for front in [Front::HttpApi, Front::RestApi, Front::FunctionUrl, Front::Plain] {
            doors.push(Door::open(front, base_path, &all).await);
        }
        Self { fronts: doors, store, database, _work_dir: work_dir }
    }

    /// What every door answers. They answer the same.
    ///
    /// # Panics
    /// If they do not.
    pub async fn ask(&self, request: Request) -> Answer {
        let mut answers = Vec::new();
        for door in &self.fronts {
            let mut answer = door.send(&request).await;
            assert!(!answer.header("x-request-id").is_empty(), "{door:?} names no answer");
            for name in OF_THE_DOOR {
                answer.headers.remove(name);
            }
            answers.push((door, answer));
        }
        let (_, last) = answers.pop().expect("there are doors");
        for (door, answer) in answers {
            let (method, target) = (request.method, &request.target);
            assert_eq!(
                (answer.status, &answer.headers),
                (last.status, &last.headers),
                "{method} {target}: {door:?} and an HTTP server differ"
            );
            assert!(
                answer.body == last.body,
                "{method} {target}: {door:?} and an HTTP server differ:\n{}\n{}",
                Excerpt(&answer.body),
                Excerpt(&last.body)
            );
        }
        last
    }

    /// The doors, one by one, for what each must be asked itself.
    pub fn each(&self) -> impl Iterator<Item = &Door> {
        self.fronts.iter()
    }

    /// Where the functions keep their songs.
    #[must_use]
    pub fn database_url(&self) -> &str {
        self.database.url()
    }
}

impl Door {
    /// Both functions behind `front`, with these variables.
    async fn open(front: Front, base_path: &str, variables: &[(&str, &str)]) -> Self {
        let (crud, streaming) = if front == Front::Plain {
            // Lambda's limits, so that the answers can be the same.
            let limits = [
                ("REQUEST_LIMIT_BYTES", "4194304"),
                ("RESPONSE_LIMIT_BYTES", "4194304"),
                ("REQUEST_TIMEOUT_SECONDS", "25"),
            ];
            let all: Vec<_> = limits.iter().chain(variables).copied().collect();
            (
                Program::Server(Server::start("crud", &all).await),
                Program::Server(Server::start("streaming", &all).await),
            )
        } else {
            (
                Program::Function(Function::start("crud", variables).await),
                Program::Function(Function::start("streaming", variables).await),
            )
        };
        Self { front, base_path: base_path.to_owned(), crud, streaming }
    }

    /// Sends a request the way of the template's routes.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, request: &Request) -> Answer {
        let path = request.target.strip_prefix(&self.base_path).unwrap_or(&request.target);
        let to_crud = path.starts_with("/songs") || path.starts_with("/uploads");
        match if to_crud { &self.crud } else { &self.streaming } {
            Program::Server(server) => server.send(request).await,
            Program::Function(function) => {
                let response = function.invoke(&self.event(request)).await;
                events::answer(&response.unwrap_or_else(|error| {
                    panic!("{self:?}: {} {}: {error:?}", request.method, request.target)
                }))
            }
        }
    }

    fn event(&self, request: &Request) -> serde_json::Value {
        match self.front {
            Front::FunctionUrl | Front::Plain => events::function_url(request),
            Front::HttpApi if self.base_path.is_empty() => events::http_api(request, "$default"),
            Front::HttpApi => events::http_api(request, self.base_path.trim_matches('/')),
            Front::RestApi => {
                // The stage is what the base path stands for, so the path does not have it.
                let mut inside = request.clone();
                inside.target = match request.target.strip_prefix(&self.base_path) {
                    Some(target) => target.to_owned(),
                    None => request.target.clone(),
                };
                events::rest_api(&inside, "/prod")
            }
        }
    }

    /// The function that requests for songs go to, where it is one.
    #[must_use]
    pub fn crud(&self) -> Option<&Function> {
        match &self.crud {
            Program::Function(function) => Some(function),
            Program::Server(_) => None,
        }
    }

    /// The function that requests for streams go to, where it is one.
    #[must_use]
    pub fn streaming(&self) -> Option<&Function> {
        match &self.streaming {
            Program::Function(function) => Some(function),
            Program::Server(_) => None,
        }
    }

    /// What both programs have logged.
    #[must_use]
    pub fn log(&self) -> String {
        let log = |program: &Program| match program {
            Program::Function(function) => function.process().log(),
            Program::Server(server) => server.process().log(),
        };
        log(&self.crud) + &log(&self.streaming)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.front.fmt(formatter)
    }
}

struct Excerpt<'a>(&'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.0[..self.0.len().min(300)];
        write!(formatter, "{} bytes: {}", self.0.len(), String::from_utf8_lossy(head))
    }
}
