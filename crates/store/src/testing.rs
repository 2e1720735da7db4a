//! Databases for tests, those of every crate: each one empty, its own, and gone afterwards.
//!
//! MongoDB is the one real server: that of `TEST_MONGODB_URL`, else one started from the `mongod`
//! on PATH, else from `target/mongod/bin/mongod`, which `make test` puts there. With none of them a
//! test fails.

use std::{
    env, fs,
    io::Read,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use mongodb::{
    Client,
    bson::doc,
    options::{ClientOptions, ServerAddress},
};
use music::SongId;
use tempfile::TempDir;

/// An empty database, removed when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    directory: Option<TempDir>,
}

impl TestDatabase {
    /// A database on a real MongoDB server, which all tests of one process share.
    ///
    /// Blocks while the server starts.
    ///
    /// # Panics
    /// If there is no server, or it does not start.
    #[must_use]
    pub fn mongodb() -> Self {
        // The uniqueness of an id, within the 63 characters that a name may have.
        let name = format!("segue_test_{}", SongId::new());
        Self { url: with_database(mongodb_url(), &name), directory: None }
    }

    /// An SQLite file in a directory of its own.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let url = format!("sqlite:{}", directory.path().join("segue.db").display());
        Self { url, directory: Some(directory) }
    }

    /// What [`open`](crate::open) takes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.directory.is_none() {
            let url = self.url.clone();
            let dropped = blocking(async move {
                let options = ClientOptions::parse(&url).await?;
                let client = Client::with_options(options)?;
                client.default_database().expect("the URL names one").drop().await
            });
            if let Err(error) = dropped {
                let name = self.url.split('?').next().unwrap_or_default().rsplit('/').next();
                eprintln!("{} stays behind: {error}", name.unwrap_or_default());
            }
        }
    }
}

/// Says in a process of its own which test it is there for.
const ALONE: &str = "SEGUE_TEST_ALONE";

/// Whether this process is there for the test of that name alone. If not, starts one that is, and
/// waits for it.
///
/// # Panics
/// If the test fails there.
#[must_use]
pub fn alone(test: &str) -> bool {
    run_alone(test, &[], "exec \"$@\"")
}

/// The same, on a file system of so many megabytes for what is temporary, which goes with the
/// process: the process has mounts of its own, which takes root or user namespaces.
///
/// # Panics
/// If the test fails there, or there can be no such file system.
#[must_use]
pub fn alone_on_small_disk(test: &str, megabytes: u32) -> bool {
    let folder = tempfile::tempdir().expect("makes a directory");
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m tmpfs '{0}' && TMPDIR='{0}' exec \"$@\"",
        folder.path().display()
    );
    run_alone(test, &["unshare", "--map-root-user", "--mount"], &script)
}

fn run_alone(test: &str, before: &[&str], script: &str) -> bool {
    if env::var(ALONE).as_deref() == Ok(test) {
        return true;
    }
    let program = env::current_exe().expect("is a program");
    let mut words = before.iter().copied().chain(["sh", "-c", script, "sh"]);
    let mut command = Command::new(words.next().expect("has a first word"));
    command.args(words).arg(program).args(["--exact", test, "--nocapture"]);
    let output = command.env(ALONE, test).output().expect("starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "there is no test {test}:\n{stdout}");
    false
}

/// The URL of a real MongoDB server, a replica set where we start it.
///
/// Blocks while the server starts.
///
/// # Panics
/// If there is no server, or it does not start.
pub fn mongodb_url() -> &'static str {
    static GIVEN: OnceLock<Option<String>> = OnceLock::new();
    static STARTED: OnceLock<Mongod> = OnceLock::new();
    let given =
        GIVEN.get_or_init(|| env::var("TEST_MONGODB_URL").ok().filter(|url| !url.is_empty()));
    match given {
        Some(url) => url,
        None => STARTED.get_or_init(Mongod::start).url(),
    }
}

/// A MongoDB server on a free port, with its data in a temporary directory: the one member of a
/// replica set. It ends with this process, however that ends, or when this is dropped.
#[derive(Debug)]
pub struct Mongod {
    url: String,
    host: String,
    id: u32,
    server: Command,
    directory: PathBuf,
    /// The other ends are held by nobody else: they close when this process is gone.
    alive: Vec<ChildStdin>,
}

impl Mongod {
    /// Starts a server, and returns once it takes writes.
    ///
    /// # Panics
    /// If there is no program, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let program = program();
        // Between our finding a port free and the server's taking it, another may.
        (0..3)
            .find_map(|_| Self::try_start(&program))
            .unwrap_or_else(|| panic!("{} does not start", program.display()))
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host and the port, as a replica set names it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The process, for tests that stop or kill it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.id
    }

    /// Starts it again on its data and its port, after it has ended. Returns once it takes writes.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn restart(&mut self) {
        let (id, alive) = tethered(&self.server, &self.directory);
        self.id = id;
        self.alive.push(alive);
        assert!(blocking(is_writable(self.url.clone())), "it does not start again");
    }

    fn try_start(program: &Path) -> Option<Self> {
        let mongod = Self::spawn(program, &[])?;
        if blocking(initiate(vec![mongod.host.clone()]))
            && blocking(is_writable(mongod.url.clone()))
        {
            return Some(mongod);
        }
        let log = fs::read_to_string(mongod.directory.join("log")).unwrap_or_default();
        eprintln!("{}", log.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
        None
    }

    /// Starts a server that belongs to no replica set yet.
    fn spawn(program: &Path, options: &[&str]) -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()?.port();
        let directory = tempfile::Builder::new().prefix("segue-mongod-").tempdir().ok()?.keep();
        let mut server = Command::new(program);
        server.args(["--port", &port.to_string(), "--replSet", "segue", "--bind_ip", "127.0.0.1"]);
        server.args(["--nounixsocket", "--wiredTigerCacheSizeGB", "1"]).args(options);
        server.arg("--dbpath").arg(&directory).arg("--logpath").arg(directory.join("log"));
        let (id, alive) = tethered(&server, &directory);
        let host = format!("127.0.0.1:{port}");
        let url = format!("mongodb://{host}/?replicaSet=segue");
        Some(Self { url, host, id, server, directory, alive: vec![alive] })
    }
}

/// A replica set of three servers on free ports, which take test commands such as
/// `configureFailPoint`. They end with this process, however that ends, or
/// when this is dropped.
#[derive(Debug)]
pub struct ReplicaSet {
    members: Vec<Mongod>,
    url: String,
}

impl ReplicaSet {
    /// Starts the servers, and returns once one of them takes writes.
    ///
    /// # Panics
    /// If there is no program, or no server takes writes.
    #[must_use]
    pub fn start() -> Self {
        let program = program();
        let start = || {
            let options = ["--setParameter", "enableTestCommands=1"];
            let members: Vec<_> =
                (0..3).filter_map(|_| Mongod::spawn(&program, &options)).collect();
            let hosts: Vec<_> = members.iter().map(|member| member.host.clone()).collect();
            let url = format!("mongodb://{}/?replicaSet=segue", hosts.join(","));
            let is_up = blocking(initiate(hosts)) && blocking(is_writable(url.clone()));
            is_up.then_some(Self { members, url })
        };
        // Another process may take a port between our look and the server's.
        (0..3).find_map(|_| start()).unwrap_or_else(|| panic!("the replica set does not start"))
    }

    /// The URL of a database on it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        with_database(&self.url, database)
    }

    /// The servers.
    #[must_use]
    pub fn members(&self) -> &[Mongod] {
        &self.members
    }

    /// The server that takes writes.
    ///
    /// # Panics
    /// If no server does.
    #[must_use]
    pub fn primary(&self) -> &Mongod {
        let url = self.url.clone();
        let hello = blocking(async move {
            let client = Client::with_uri_str(&url).await?;
            client.database("admin").run_command(doc! { "hello": 1 }).await
        });
        let hello = hello.expect("a server takes writes");
        let primary = hello.get_str("primary").expect("is named");
        self.members.iter().find(|member| member.host == primary).expect("is one of ours")
    }
}

/// Starts a process that ends when what is returned beside its id is dropped, or this process ends
/// in whatever way. The directory goes with it.
#[expect(clippy::zombie_processes, reason = "it outlives this process, by as long as it cleans up")]
fn tethered(command: &Command, directory: &Path) -> (u32, ChildStdin) {
    // `cat` ends when nobody holds the other end of its input, which only this process does.
    const SCRIPT: &str = r#"
        "$@" >/dev/null 2>&1 &
        echo $!
        exec >&-
        cat >/dev/null
        kill -KILL $!
        wait $!
        rm -rf "$0"
    "#;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(SCRIPT).arg(directory).arg(command.get_program()).args(command.get_args());
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that an interrupt from the terminal leaves the shell to its work.
    shell.process_group(0);
    let mut shell = shell.spawn().expect("there is a shell");
    let mut id = String::new();
    shell.stdout.take().expect("is piped").read_to_string(&mut id).expect("is text");
    (id.trim().parse().expect("is an id"), shell.stdin.take().expect("is piped"))
}

fn program() -> PathBuf {
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path).map(|folder| folder.join("mongod")).find(|file| file.is_file())
    });
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/mongod/bin/mongod");
    on_path
        .or_else(|| fetched.is_file().then_some(fetched))
        .expect("no MongoDB to test with: run `make test`, which gets one, or set TEST_MONGODB_URL")
}

/// Makes one replica set of servers, which vote after 3 s without a primary.
async fn initiate(hosts: Vec<String>) -> bool {
    let Some(address) = hosts.first().and_then(|host| ServerAddress::parse(host).ok()) else {
        return false;
    };
    let options = ClientOptions::builder()
        .hosts(vec![address])
        .direct_connection(true)
        .server_selection_timeout(Duration::from_secs(30))
        .build();
    let Ok(client) = Client::with_options(options) else { return false };
    let members: Vec<_> =
        (0..).zip(hosts).map(|(id, host): (i32, _)| doc! { "_id": id, "host": host }).collect();
    let settings = doc! { "electionTimeoutMillis": 3_000 };
    let set = doc! { "_id": "segue", "members": members, "settings": settings };
    client.database("admin").run_command(doc! { "replSetInitiate": set }).await.is_ok()
}

async fn is_writable(url: String) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if let Ok(client) = Client::with_uri_str(&url).await
            && client.database("admin").run_command(doc! { "ping": 1 }).await.is_ok()
        {
            return true;
        }
    }
    false
}

/// The URL of another database on the same server, for the same user.
fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("is a URL");
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, database) = path.split_once('/').unwrap_or((path, ""));
    let mut options = options.to_owned();
    // The database of the URL is where its user is known, unless an option says so.
    if host.contains('@') && !database.is_empty() && !options.contains("authSource=") {
        options = format!("authSource={database}&{options}");
    }
    format!("{scheme}://{host}/{name}?{options}").trim_end_matches(['?', '&']).to_owned()
}

/// Runs something to its end, from inside a runtime or outside.
fn blocking<T: Send>(work: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("makes a runtime").block_on(work)
        };
        scope.spawn(run).join().expect("does not panic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_database_keeps_the_users_of_its_server() {
        assert_eq!(with_database("mongodb://h:1", "t"), "mongodb://h:1/t");
        assert_eq!(with_database("mongodb://h:1/?a=b", "t"), "mongodb://h:1/t?a=b");
        assert_eq!(with_database("mongodb://u:p@h/d", "t"), "mongodb://u:p@h/t?authSource=d");
        assert_eq!(
            with_database("mongodb+srv://u:p@h/d?authSource=x", "t"),
            "mongodb+srv://u:p@h/t?authSource=x"
        );
    }

    #[test]
    fn what_is_tethered_ends_when_its_owner_lets_go() {
        let directory = tempfile::tempdir().expect("makes a directory").keep();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let (id, alive) = tethered(&sleep, &directory);
        let is_running = || {
            Command::new("kill")
                .args(["-0", &id.to_string()])
                .output()
                .expect("runs")
                .status
                .success()
        };
        assert!(is_running());
        drop(alive);
        let until = Instant::now() + Duration::from_secs(10);
        while is_running() || directory.exists() {
            assert!(Instant::now() < until, "is still there");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
