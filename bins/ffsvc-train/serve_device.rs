//! `ffsvc-train serve-device`: this machine's devices for runs on other machines.

use std::net::SocketAddr;

use clap::Parser;
use ffsvc_cli::{Logging, UsageError};
use ffsvc_models::DeviceChoice;

/// Offer this machine's devices to runs elsewhere (--device remote:HOST:PORT)
///
/// Serves until Ctrl-C. The connection is not encrypted: use it within a trusted network or through a tunnel. With a
/// token in the environment variable FFSVC_DEVICE_TOKEN, only clients that have the same are served. The first line on
/// standard output says where it listens.
#[derive(Debug, Parser)]
#[command(
    name = "serve-device",
    after_help = "\
Example:
  gpu-1$ FFSVC_DEVICE_TOKEN=secret ffsvc-train serve-device --listen 0.0.0.0:3000 --device cuda:0,1
  here$  FFSVC_DEVICE_TOKEN=secret ffsvc-train CONFIG EXP --device remote:gpu-1:3000,gpu-1:3000/1 --set train.accumulate=2"
)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// Devices to offer, counted from 0 in this order
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    #[command(flatten)]
    logging: Logging,
}

impl Args {
    #[cfg(feature = "remote")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        use anyhow::Context;
        use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};

        self.logging.init();
        let devices = self.device.open().map_err(|error| UsageError::new(error.to_string()))?;
        let mut server = RemoteServer::new(devices);
        if let Ok(token) = std::env::var(ffsvc_models::DEVICE_TOKEN) {
            server = server.with_authorizer(TokenAuthorizer::new(token).map_err(|_| {
                UsageError::new(format!("{} is empty: set a token, or unset it", ffsvc_models::DEVICE_TOKEN))
            })?);
        }
        let listener = std::net::TcpListener::bind(self.listen)
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("listening\t{}", listener.local_addr()?);
        server.serve(WebSocketTransport::from_listener(listener)).context("the server of devices failed")
    }

    #[cfg(not(feature = "remote"))]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self { listen, device, logging } = self;
        logging.init();
        let message = format!(
            "cannot offer {device} on {listen}: this program was built without remote devices; build it with \
             cargo build --release --features remote"
        );
        Err(UsageError::new(message).into())
    }
}
