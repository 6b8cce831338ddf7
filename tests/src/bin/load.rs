//! The load generator as a program of its own: started inside the agents' cgroup, prints JSON.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use chaperone_tests::{
    load::{self, Job, METADATA, Target},
    upstream::Key,
};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    /// Where connections go
    #[arg(long)]
    address: SocketAddr,
    /// PEM file of the trusted roots
    #[arg(long)]
    ca: PathBuf,
    /// Access key id; without one the metadata endpoint is asked
    #[arg(long, requires = "secret")]
    key_id: Option<String>,
    /// Secret access key
    #[arg(long)]
    secret: Option<String>,
    #[command(subcommand)]
    job: Kind,
}

#[derive(Subcommand, Clone, Copy)]
enum Kind {
    /// 1 KiB JSON POSTs on kept connections
    Post {
        /// Connections at once
        connections: usize,
        /// For so long
        seconds: u64,
    },
    /// One POST on each new TLS connection
    Connect {
        /// For so long
        seconds: u64,
    },
    /// One S3 object down
    Download {
        /// Its size
        bytes: u64,
    },
    /// One S3 object up
    Upload {
        /// Its size
        bytes: u64,
    },
}

impl From<Kind> for Job {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Post { connections, seconds } => {
                Self::Post { connections, duration: Duration::from_secs(seconds) }
            }
            Kind::Connect { seconds } => Self::Connect { duration: Duration::from_secs(seconds) },
            Kind::Download { bytes } => Self::Download { bytes },
            Kind::Upload { bytes } => Self::Upload { bytes },
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let roots_pem = std::fs::read_to_string(&args.ca).with_context(|| args.ca.display().to_string())?;
    let target = Target { address: args.address, roots_pem };
    let key = match (args.key_id, args.secret) {
        (Some(id), Some(secret)) => Key { id, secret, session_token: None },
        _ => load::keys_from_metadata(METADATA).await?,
    };
    let report = load::run(&target, &key, args.job.into()).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
