//! From a picture to a file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

/// The only font.
pub(crate) const FONT: &str = "DejaVu Sans, sans-serif";

/// Pixels of a PNG for each unit of a picture: 150 dots per inch if the picture is printed at its nominal size, 60 units
/// an inch.
const PNG_SCALE: f64 = 2.5;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a picture could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file's name ends in something else than `.svg` or `.png`.
    #[error("{}: found a picture without a known ending, expected .svg or .png", .0.display())]
    Format(PathBuf),
    /// There is nothing that could be drawn.
    #[error("nothing to draw: {0}")]
    Empty(String),
    /// The drawing library refused.
    #[error("cannot draw: {0}")]
    Drawing(String),
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for Error {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Drawing(error.to_string())
    }
}

/// Something to be drawn.
pub trait Picture {
    /// Width and height in units.
    fn size(&self) -> (u32, u32);

    /// Draws it on a white area of that size, of which `unit` pixels are one unit.
    ///
    /// # Errors
    /// There is nothing to draw, or the drawing library refuses.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()>;
}

/// The kinds of files that pictures can be written to.
#[derive(Debug, Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Error::Format(path.to_path_buf())),
        }
    }
}

/// Looks whether [`write`](fn@write) knows the file's ending, before work begins that would be in vain.
///
/// # Errors
/// The ending is neither `.svg` nor `.png`.
pub fn check_ending(path: impl AsRef<Path>) -> Result<()> {
    Format::of(path.as_ref()).map(drop)
}

/// Draws a picture into a file, SVG or PNG by its ending.
///
/// # Errors
/// The ending is another, the picture cannot be drawn, or the file cannot be written; a file that was there is then as it was.
pub fn write(picture: &impl Picture, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let format = Format::of(path)?;
    register()?;
    let bytes = match format {
        Format::Svg => svg(picture)?.into_bytes(),
        Format::Png => png(picture)?,
    };
    ffsvc_atomic_file::write(path, bytes).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

/// Makes the font known to the drawing library, once.
fn register() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let fonts = [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())];
    let registered = REGISTERED
        .get_or_init(|| fonts.into_iter().all(|(style, bytes)| register_font(FONT, style, bytes).is_ok()));
    if *registered { Ok(()) } else { Err(Error::Drawing("the font cannot be read".to_owned())) }
}

/// Draws a picture as the text of an SVG element, to stand in a page.
///
/// # Errors
/// The picture cannot be drawn.
pub fn svg(picture: &impl Picture) -> Result<String> {
    register()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, picture.size()).into_drawing_area();
        area.fill(&WHITE)?;
        picture.draw(&area, 1.0)?;
        area.present()?;
    }
    Ok(text)
}

fn png(picture: &impl Picture) -> Result<Vec<u8>> {
    let scaled = |units: u32| (f64::from(units) * PNG_SCALE).round() as u32;
    let (width, height) = (scaled(picture.size().0), scaled(picture.size().1));
    let mut pixels = vec![0; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        area.fill(&WHITE)?;
        picture.draw(&area, PNG_SCALE)?;
        area.present()?;
    }
    let mut bytes = Vec::new();
    let refused = |error: png::EncodingError| Error::Drawing(error.to_string());
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(&pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(bytes)
}
