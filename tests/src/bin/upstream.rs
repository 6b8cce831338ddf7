//! The verifying upstream as a program of its own, for the bench.
//!
//! Prints its address as the first line, then serves until its standard input ends.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use chaperone_tests::{
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Where the CA's certificate is written
    #[arg(long)]
    ca: PathBuf,
    /// `ID:SECRET` of an accepted key, any number of them
    #[arg(long = "key", value_parser = key)]
    keys: Vec<Key>,
}

fn key(text: &str) -> Result<Key, String> {
    let (id, secret) = text.split_once(':').ok_or("ID:SECRET is expected")?;
    Ok(Key { id: id.to_owned(), secret: secret.to_owned(), session_token: None })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Args { ca, keys } = Args::parse();
    let authority = Arc::new(TestCa::new()?);
    std::fs::write(&ca, authority.pem()).with_context(|| ca.display().to_string())?;
    // What no check needs is not hashed: the bench measures the gateway.
    let config = UpstreamConfig { hash_bodies: false, ..UpstreamConfig::new(authority, keys) };
    let upstream = Upstream::start(config).await?;
    println!("{}", upstream.addr());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}
