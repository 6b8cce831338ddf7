//! Other proxies that terminate TLS and open TLS again, set up for the same job.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chaperone_tests::{
    harness::{Cgroup, Running, start_pinned, venv},
    load::{BUCKET, DYNAMODB},
    pki::TestCa,
};

use crate::{PROXY_CORE, legs::Leg};

/// nginx with kept upstream connections and without buffering of bodies.
pub(crate) fn nginx(dir: &Path, upstream: SocketAddr, upstream_ca: &Path) -> Result<Leg> {
    let program = Path::new("/usr/sbin/nginx");
    anyhow::ensure!(program.is_file(), "it is not installed");
    let ca = TestCa::new()?;
    ca.write_leaf(dir, "nginx", &[DYNAMODB, BUCKET])?;
    fs::write(dir.join("nginx-ca.pem"), ca.pem())?;
    let address = free_address()?;
    let here = dir.display();
    let upstream_ca = upstream_ca.display();
    let config = format!(
        r"
daemon off;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {here}/nginx-body;
    proxy_temp_path {here}/nginx-proxy;
    fastcgi_temp_path {here}/nginx-fastcgi;
    uwsgi_temp_path {here}/nginx-uwsgi;
    scgi_temp_path {here}/nginx-scgi;
    keepalive_requests 1000000000;
    ssl_session_cache off;
    ssl_session_tickets off;
    upstream aws {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen {address} ssl backlog=4096;
        ssl_certificate {here}/nginx.pem;
        ssl_certificate_key {here}/nginx.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        client_max_body_size 0;
        location / {{
            proxy_pass https://aws;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $host;
            proxy_ssl_server_name on;
            proxy_ssl_name $host;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {upstream_ca};
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"
    );
    fs::write(dir.join("nginx.conf"), config)?;
    let cgroup = Cgroup::create("nginx")?;
    let mut command = start_pinned(program, Some(&cgroup), Some(PROXY_CORE));
    command.arg("-p").arg(dir).arg("-e").arg(dir.join("nginx.log")).arg("-c").arg(dir.join("nginx.conf"));
    let proxy = start(&mut command, &dir.join("nginx.out"), address)?;
    let ca = dir.join("nginx-ca.pem");
    Ok(Leg { name: "nginx", address, ca, cgroup: Some(cgroup), _proxy: Some(proxy) })
}

/// mitmproxy in reverse mode, streaming large bodies.
pub(crate) fn mitmproxy(dir: &Path, upstream: SocketAddr, upstream_ca: &Path) -> Result<Leg> {
    let program = venv()?.join("bin/mitmdump");
    anyhow::ensure!(program.is_file(), "it is not installed");
    let address = free_address()?;
    let confdir = dir.join("mitmproxy");
    let cgroup = Cgroup::create("mitmproxy")?;
    let mut command = start_pinned(&program, Some(&cgroup), Some(PROXY_CORE));
    command
        .env("HOME", dir)
        .args(["--quiet", "--mode", &format!("reverse:https://{upstream}")])
        .args(["--listen-host", &address.ip().to_string(), "--listen-port", &address.port().to_string()])
        .args(["--set", "keep_host_header=true", "--set", "stream_large_bodies=1m"])
        .args(["--set", &format!("confdir={}", confdir.display())])
        .args(["--set", &format!("ssl_verify_upstream_trusted_ca={}", upstream_ca.display())]);
    let proxy = start(&mut command, &dir.join("mitmproxy.out"), address)?;
    let ca = confdir.join("mitmproxy-ca-cert.pem");
    Ok(Leg { name: "mitmproxy", address, ca, cgroup: Some(cgroup), _proxy: Some(proxy) })
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a proxy and waits until it accepts.
fn start(command: &mut std::process::Command, log: &Path, address: SocketAddr) -> Result<Running> {
    let output = File::create(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut proxy = Running::start(command)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if TcpStream::connect(address).is_ok() {
            return Ok(proxy);
        }
        if let Some(status) = proxy.child().try_wait()? {
            bail!("it ended with {status}: {}", fs::read_to_string(log).unwrap_or_default().trim());
        }
        // Neither program can say when it is ready.
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(anyhow::anyhow!("{}", fs::read_to_string(log).unwrap_or_default().trim().to_owned()))
        .context("it does not accept connections")
}
