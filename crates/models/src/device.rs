//! Which device a program computes on.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use burn::tensor::Device;

/// A device by its name:
///
/// | text | meaning |
/// | --- | --- |
/// | `cpu` | this machine's processor |
/// | `auto` | the first CUDA device if this build and machine have one, else the processor; a CUDA device without libdevice is refused |
/// | `cuda`, `cuda:1`, `cuda:0,1` | CUDA devices by number; the first if none is named (feature `cuda`) |
/// | `wgpu`, `wgpu:0,1` | Vulkan, Metal or DirectX devices by number, Mesa's software one too (feature `wgpu`) |
/// | `remote:HOST:PORT`, `remote:HOST:PORT/1,HOST:PORT` | devices of other processes (`ffsvc-train serve-device`), by number after the slash, 0 if none is named (feature `remote`) |
///
/// Several devices share the batches of an optimiser step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first CUDA device, or the processor.
    Auto,
    /// This machine's processor.
    #[default]
    Cpu,
    /// CUDA devices by number.
    Cuda(Vec<usize>),
    /// Devices that wgpu finds (Vulkan, Metal, DirectX), by number.
    Wgpu(Vec<usize>),
    /// Devices that other processes offer.
    Remote(Vec<RemoteAddress>),
}

/// A device of another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    /// `HOST:PORT`.
    pub host: String,
    /// Its place among the server's devices.
    pub index: usize,
}

/// Environment variable with the token that a server of devices asks for.
pub const DEVICE_TOKEN: &str = "FFSVC_DEVICE_TOKEN";

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not a device's name.
    #[error(
        "device \"{found}\": expected cpu, auto, cuda[:N,...], wgpu[:N,...] or remote:HOST:PORT[/N],..., each device once"
    )]
    Name {
        /// What was given.
        found: String,
    },
    /// The program was built without the feature.
    #[error(
        "device \"{choice}\": this program was built without it; build it with the Cargo feature `{feature}`, or choose the device cpu"
    )]
    NotBuilt {
        /// What was asked for.
        choice: DeviceChoice,
        /// The Cargo feature that it needs.
        feature: &'static str,
    },
    /// The machine has no such device.
    #[error("device \"{choice}\": this machine has {found} {kind} device(s){hint}")]
    Absent {
        /// What was asked for.
        choice: DeviceChoice,
        /// CUDA or wgpu.
        kind: &'static str,
        /// How many there are.
        found: usize,
        /// The way out.
        hint: &'static str,
    },
    /// The machine has a CUDA device, but not the file with CUDA's mathematical functions.
    #[error(
        "device \"{choice}\": CUDA kernels need libdevice.10.bc, and it is not at {}; install the CUDA toolkit or the PyPI package nvidia-nvvm, and set CUDA_PATH to the folder that has nvvm/ in it, or choose the device cpu",
        list(looked.iter().map(|path| path.display()))
    )]
    NoLibdevice {
        /// What was asked for.
        choice: DeviceChoice,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// No answer from a remote device, or a refusal.
    #[error("device \"remote:{address}\": {cause}")]
    Unreachable {
        /// The device.
        address: RemoteAddress,
        /// What went wrong.
        cause: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let wrong = || DeviceError::Name { found: text.into() };
        let (kind, list) = match text.split_once(':') {
            Some((kind, list)) => (kind, Some(list)),
            None => (text, None),
        };
        let numbers = || -> Option<Vec<usize>> {
            let Some(list) = list else { return Some(vec![0]) };
            list.split(',').map(|number| number.parse().ok()).collect()
        };
        let choice = match (kind, list) {
            ("cpu", None) => Self::Cpu,
            ("auto", None) => Self::Auto,
            ("cuda", _) => Self::Cuda(numbers().ok_or_else(wrong)?),
            ("wgpu", _) => Self::Wgpu(numbers().ok_or_else(wrong)?),
            ("remote", Some(list)) => Self::Remote(
                list.split(',').map(RemoteAddress::parse).collect::<Option<_>>().ok_or_else(wrong)?,
            ),
            _ => return Err(wrong()),
        };
        let distinct = match &choice {
            Self::Cuda(numbers) | Self::Wgpu(numbers) => all_differ(numbers),
            Self::Remote(addresses) => all_differ(addresses),
            Self::Auto | Self::Cpu => true,
        };
        if distinct { Ok(choice) } else { Err(wrong()) }
    }
}

/// Separated by commas.
fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

fn all_differ<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
}

impl RemoteAddress {
    fn parse(text: &str) -> Option<Self> {
        let (host, index) = match text.split_once('/') {
            Some((host, index)) => (host, index.parse().ok()?),
            None => (text, 0),
        };
        let (name, port) = host.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        (!name.is_empty()).then(|| Self { host: host.into(), index })
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        if self.index > 0 { write!(f, "/{}", self.index) } else { Ok(()) }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(numbers) => write!(f, "cuda:{}", list(numbers)),
            Self::Wgpu(numbers) => write!(f, "wgpu:{}", list(numbers)),
            Self::Remote(addresses) => write!(f, "remote:{}", list(addresses)),
        }
    }
}

impl DeviceChoice {
    /// The devices, in the order of their names; one at least.
    ///
    /// # Errors
    /// A device that this build or this machine does not have, or that does not answer.
    pub fn open(&self) -> Result<Vec<Device>, DeviceError> {
        match self {
            Self::Cpu => Ok(vec![Device::flex()]),
            Self::Auto => Ok(vec![self.first_cuda()?.unwrap_or_else(Device::flex)]),
            Self::Cuda(numbers) => self.cuda(numbers),
            Self::Wgpu(numbers) => self.wgpu(numbers),
            Self::Remote(addresses) => self.remote(addresses),
        }
    }

    /// The one device of a program that uses no more.
    ///
    /// # Errors
    /// As [`open`](Self::open); also several devices.
    pub fn open_one(&self) -> Result<Device, DeviceError> {
        let mut devices = self.open()?;
        match (devices.pop(), devices.is_empty()) {
            (Some(device), true) => Ok(device),
            _ => Err(DeviceError::Name { found: format!("{self}, where one device is needed") }),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, numbers: &[usize]) -> Result<Vec<Device>, DeviceError> {
        let hint = "; the device auto is the processor where there is none";
        let devices = self.pick(numbers, burn::tensor::DeviceType::Cuda, "CUDA", hint)?;
        self.check_libdevice()?;
        Ok(devices)
    }

    /// Whether the kernels of a CUDA device can be compiled.
    #[cfg(feature = "cuda")]
    fn check_libdevice(&self) -> Result<(), DeviceError> {
        let refuse = |looked| DeviceError::NoLibdevice { choice: self.clone(), looked };
        crate::libdevice::find().map(drop).map_err(refuse)
    }

    /// What `auto` finds. A machine with a GPU that cannot be used is refused: training on its processor instead would take
    /// weeks before anybody notices.
    #[cfg(feature = "cuda")]
    fn first_cuda(&self) -> Result<Option<Device>, DeviceError> {
        let first = Device::enumerate(burn::tensor::DeviceType::Cuda).into_iter().next();
        if first.is_some() {
            self.check_libdevice()?;
        }
        Ok(first)
    }

    #[cfg(not(feature = "cuda"))]
    fn first_cuda(&self) -> Result<Option<Device>, DeviceError> {
        Ok(None)
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda(&self, _numbers: &[usize]) -> Result<Vec<Device>, DeviceError> {
        Err(DeviceError::NotBuilt { choice: self.clone(), feature: "cuda" })
    }

    #[cfg(feature = "wgpu")]
    fn wgpu(&self, numbers: &[usize]) -> Result<Vec<Device>, DeviceError> {
        let hint = "; Mesa's software device comes with the package mesa-vulkan-drivers";
        self.pick(numbers, burn::tensor::DeviceType::Wgpu, "wgpu", hint)
    }

    #[cfg(not(feature = "wgpu"))]
    fn wgpu(&self, _numbers: &[usize]) -> Result<Vec<Device>, DeviceError> {
        Err(DeviceError::NotBuilt { choice: self.clone(), feature: "wgpu" })
    }

    /// The devices of a kind with these numbers.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn pick(
        &self,
        numbers: &[usize],
        of: burn::tensor::DeviceType,
        kind: &'static str,
        hint: &'static str,
    ) -> Result<Vec<Device>, DeviceError> {
        let all: Vec<Device> = Device::enumerate(of).into_iter().collect();
        let absent = || DeviceError::Absent { choice: self.clone(), kind, found: all.len(), hint };
        numbers.iter().map(|&number| all.get(number).cloned().ok_or_else(absent)).collect()
    }

    #[cfg(feature = "remote")]
    fn remote(&self, addresses: &[RemoteAddress]) -> Result<Vec<Device>, DeviceError> {
        use burn::remote::RemoteHost;
        let connect = |address: &RemoteAddress| {
            let mut host = RemoteHost::websocket(&format!("ws://{}", address.host));
            if let Ok(token) = std::env::var(DEVICE_TOKEN) {
                host = host.with_credential(token);
            }
            Device::remote_options(&host).device_index(address.index).init().map_err(|error| {
                DeviceError::Unreachable { address: address.clone(), cause: error.to_string() }
            })
        };
        addresses.iter().map(connect).collect()
    }

    #[cfg(not(feature = "remote"))]
    fn remote(&self, _addresses: &[RemoteAddress]) -> Result<Vec<Device>, DeviceError> {
        Err(DeviceError::NotBuilt { choice: self.clone(), feature: "remote" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["auto", "cpu", "cuda:0", "cuda:0,1", "wgpu:2", "remote:a:3000,b:3000/1,[::1]:80"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(vec![0]));
        for name in [
            "",
            "gpu",
            "cpu:0",
            "cuda:",
            "cuda:x",
            "cuda:0,0",
            "remote",
            "remote:a",
            "remote::1",
            "remote:a:99999",
        ] {
            let error = name.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains(&format!("\"{name}\"")), "{error}");
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(DeviceChoice::Cpu.open_one().unwrap(), Device::flex());
        assert_eq!(DeviceChoice::Auto.open().unwrap().len(), 1);
    }

    #[test]
    fn a_missing_libdevice_is_one_line_with_the_way_out() {
        let looked = vec!["/a/libdevice.10.bc".into(), "/b/libdevice.10.bc".into()];
        let error = DeviceError::NoLibdevice { choice: DeviceChoice::Auto, looked }.to_string();
        assert!(error.contains("not at /a/libdevice.10.bc,/b/libdevice.10.bc;"), "{error}");
        assert!(error.contains("nvidia-nvvm") && error.contains("CUDA_PATH"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn what_was_not_built_in_is_named() {
        let error = DeviceChoice::Cuda(vec![1]).open().unwrap_err().to_string();
        assert!(error.contains("cuda:1") && error.contains("feature `cuda`"), "{error}");
    }
}
