//! What flags of buildah and kaniko say of a build's outputs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::super::error::CliError;
use super::outputs::{Dest, ImageAttributes, Output};
use crate::builder::export::Rewrite;

/// The flags.
#[derive(Debug, Default, Args)]
pub struct HabitOutputArgs {
    /// Media types of the image: oci or docker
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Give the image and all files of its new layers one time, in seconds since 1970
    #[arg(long, value_name = "SECONDS", conflicts_with = "source_date_epoch")]
    pub timestamp: Option<i64>,
    /// Latest time that the image tells, in seconds since 1970 (SOURCE_DATE_EPOCH)
    #[arg(long, value_name = "SECONDS")]
    pub source_date_epoch: Option<i64>,
    /// Lower later times of files in new layers to the source date epoch
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", action = ArgAction::Set, hide_default_value = true)]
    pub rewrite_timestamp: bool,
    /// Write the image as a docker archive as well
    #[arg(long, value_name = "FILE")]
    pub tar_path: Option<PathBuf>,
    /// Write the image as an OCI layout as well
    #[arg(long, value_name = "DIR")]
    pub oci_layout_path: Option<PathBuf>,
}

impl HabitOutputArgs {
    /// Puts the times into the build arguments.
    pub fn set_epoch(&self, build_args: &mut BTreeMap<String, String>) {
        if let Some(seconds) = self.timestamp.or(self.source_date_epoch) {
            build_args.insert("SOURCE_DATE_EPOCH".to_owned(), seconds.to_string());
        }
    }

    /// Adds outputs, and gives all the attributes that they do not have themselves.
    ///
    /// # Errors
    /// The format is none.
    pub fn shape(&self, outputs: &mut Vec<Output>) -> Result<(), CliError> {
        if let Some(path) = &self.tar_path {
            let image = ImageAttributes::default();
            outputs.push(Output::Archive { docker: true, dest: Dest::File(path.clone()), image });
        }
        if let Some(path) = &self.oci_layout_path {
            let image = ImageAttributes::default();
            outputs.push(Output::Archive { docker: false, dest: Dest::Directory(path.clone()), image });
        }
        let oci = match self.format.as_deref() {
            None => None,
            Some("oci") => Some(true),
            Some("docker" | "v2s2") => Some(false),
            Some(other) => {
                return Err(CliError::new(format!(
                    "ERROR: unrecognized image type {other:?}: --format is oci or docker"
                )));
            }
        };
        for output in outputs {
            let (Output::Archive { image, .. } | Output::Image(image)) = output else { continue };
            image.oci = image.oci.or(oci);
            if self.timestamp.is_some() {
                image.rewrite = Rewrite::Set;
            } else if self.rewrite_timestamp && image.rewrite == Rewrite::No {
                image.rewrite = Rewrite::Lower;
            }
        }
        Ok(())
    }
}
