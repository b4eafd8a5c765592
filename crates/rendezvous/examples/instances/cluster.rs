//! Three instances that share a Redis, behind nginx.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// All of it, ended with this value.
pub(crate) struct Cluster {
    /// Where clients connect.
    pub(crate) front: SocketAddr,
    program: PathBuf,
    redis_socket: PathBuf,
    instances: Vec<(SocketAddr, Running)>,
    _nginx: Running,
    _redis: Running,
    _directory: TempDir,
}

/// A process, killed with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cluster {
    /// Starts Redis, `count` instances of `program`, and nginx before them.
    pub(crate) async fn start(program: &Path, count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let redis_socket = directory.path().join("redis.sock");
        let redis = spawn_redis(directory.path(), &redis_socket);
        until(|| redis_socket.exists()).await;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let instances: Vec<_> = (0..count).map(|_| spawn_instance(program, &redis_socket, any)).collect();
        let front = TcpListener::bind(any).unwrap().local_addr().unwrap();
        let upstreams: Vec<_> = instances.iter().map(|(address, _)| *address).collect();
        let nginx = spawn_nginx(directory.path(), front, &upstreams);
        let cluster = Self {
            front,
            program: program.to_owned(),
            redis_socket,
            instances,
            _nginx: nginx,
            _redis: redis,
            _directory: directory,
        };
        for address in upstreams.into_iter().chain([front]) {
            let began = Instant::now();
            while !is_ready(address).await {
                assert!(began.elapsed() < PATIENCE, "{address} does not get ready");
                sleep(PAUSE).await;
            }
        }
        cluster
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.instances.len()
    }

    /// Kills an instance without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        let (_, instance) = &mut self.instances[index];
        instance.0.kill().unwrap();
        instance.0.wait().unwrap();
    }

    /// Starts a killed instance again, at the same address.
    pub(crate) fn revive(&mut self, index: usize) {
        let address = self.instances[index].0;
        self.instances[index] = spawn_instance(&self.program, &self.redis_socket, address);
    }
}

fn spawn_redis(directory: &Path, socket: &Path) -> Running {
    let mut redis = Command::new("redis-server");
    redis.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket);
    let spawned = redis.arg("--dir").arg(directory).stdout(Stdio::null()).spawn();
    Running(spawned.expect("redis-server has to be installed"))
}

fn spawn_instance(program: &Path, redis: &Path, listen: SocketAddr) -> (SocketAddr, Running) {
    let mut command = Command::new(program);
    command.args(["--listen", &listen.to_string(), "--redis", &format!("unix://{}", redis.display())]);
    command.args(["--trusted-proxy", "127.0.0.1/32"]);
    for name in ["accepts", "connects", "creates", "creates_hourly", "claims", "meets"] {
        command.args(["--set", &format!("limits.{name}='off'")]);
    }
    for name in ["failed_claims", "failed_claims_hourly", "connections_per_client"] {
        command.args(["--set", &format!("limits.{name}=1000000")]);
    }
    // Most claims fail here on purpose: nobody is to work for the next.
    command.args(["--set", "limits.guard_failures=1000000000"]);
    let mut child = command.env("RUST_LOG", "error").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().parse().expect("an instance does not start");
    (address, Running(child))
}

fn spawn_nginx(directory: &Path, front: SocketAddr, upstreams: &[SocketAddr]) -> Running {
    let here = directory.display();
    let servers: Vec<_> =
        upstreams.iter().map(|address| format!("server {address} max_fails=1 fail_timeout=1s;\n")).collect();
    let servers = servers.concat();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
        .concat();
    let configuration = format!(
        "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log crit;\n\
         worker_rlimit_nofile 15000;\n\
         events {{ worker_connections 14000; }}\n\
         http {{\naccess_log off;\n{temporary}\
         upstream rendezvous {{\n{servers}}}\n\
         server {{\nlisten {front} backlog=4096;\n\
         location / {{\nproxy_pass http://rendezvous;\nproxy_http_version 1.1;\nproxy_connect_timeout 2s;\n\
         proxy_set_header Host $http_host;\nproxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection upgrade;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\nproxy_read_timeout 150s;\n}}\n}}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new("nginx");
    let spawned = nginx.arg("-p").arg(directory).arg("-c").arg(file).stderr(Stdio::null()).spawn();
    Running(spawned.expect("nginx has to be installed"))
}

/// Whether an instance, or one behind the proxy, says that it can serve.
async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    asked.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it does not come about");
        sleep(PAUSE).await;
    }
}

/// Ten times what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
