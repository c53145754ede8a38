#pragma once
// SPDX-License-Identifier: Apache-2.0
// What this site adds to the vector "update" of a training round: the change of its weights, clipped, weighted and
// rounded to integers, with its share of noise where the plan has differential privacy of sites. A function of the
// models and of secrets, so that a restarted site adds the same bytes. Source: docs/quantization.md.

#include <absl/types/span.h>

#include <optional>

#include "protocols/crypto/secret.h"
#include "protocols/plan/experiment.h"
#include "protocols/privacy/noise_share.h"
#include "protocols/update/quantizer.h"

namespace cloister::site {

class SiteUpdate {
 public:
  struct Inputs {
    const plan::Experiment* plan = nullptr;
    const update::Layout* layout = nullptr;
    absl::Span<const float> local;   // [layout->parameters()], and must outlive the update
    absl::Span<const float> global;  // the same
    uint64_t samples = 0;            // training cases of this site
    const crypto::SecretBytes* site_secret =
        nullptr;                                      // for the rounding: a plan that is run again gives the same model
    const crypto::SecretBytes* job_secret = nullptr;  // for the noise, which no other job may meet
    Bytes label;  // of this very update: another one with the same label would share its rounding and its noise
  };
  // INVALID_ARGUMENT: a value that is not finite. FAILED_PRECONDITION: no samples, or a plan that does not fit the
  // model (plan::QuantizerOf). INTERNAL: no rounding keeps the norm.
  static absl::StatusOr<SiteUpdate> Create(const Inputs& inputs);

  // Elements [first, first + residues.size()), below 2^ring_bits; any range, in any order. Codes as
  // update::UpdateQuantizer::Read.
  absl::Status Read(uint64_t first, absl::Span<uint32_t> residues) const;
  absl::Status Read(uint64_t first, absl::Span<uint64_t> residues) const;

  // With differential privacy of sites every site counts the same, or the sum of the weights would tell its samples.
  update::Weight weight() const { return weight_; }

 private:
  SiteUpdate(update::UpdateQuantizer quantizer, update::Weight weight, int ring_bits)
      : quantizer_(std::move(quantizer)), weight_(weight), ring_bits_(ring_bits) {}

  update::UpdateQuantizer quantizer_;
  update::Weight weight_;
  int ring_bits_;
  std::optional<privacy::NoiseShare> noise_;
};

}  // namespace cloister::site
