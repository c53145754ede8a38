// SPDX-License-Identifier: Apache-2.0
// Model files, layouts and lineages: what is read can be written, and is then the same in the one form that is hashed.
#include "protocols/update/model_state.h"

#include "protocols/crypto/hash.h"
#include "protocols/plan/guards.h"
#include "tests/fuzz/memory_file.h"

namespace cloister::fuzz {
namespace {

ByteView BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

void ReadAndWriteLineage(const update::MappedModel& model) {
  const absl::StatusOr<plan::Lineage> lineage = plan::LineageOf(model);
  if (!lineage.ok()) return;
  const MemoryFile file(update::SafetensorsPrefix(model.layout(), plan::LineageMetadata(*lineage)) +
                        Bytes(BytesOf(model.values())));
  const absl::StatusOr<update::MappedModel> written = update::MappedModel::Open(file.path());
  Require(written.ok(), "a model with a lineage can be written");
  const absl::StatusOr<plan::Lineage> again = plan::LineageOf(*written);
  Require(again.ok() && again->norms == lineage->norms && again->parent == lineage->parent, "and says the same");
}

void ReadAndWriteModel(ByteView input, update::ImportMode mode) {
  const absl::StatusOr<update::ModelState> state = update::ParseModelState(input, mode);
  if (mode == update::ImportMode::kStrict) {
    const MemoryFile file(input);
    const absl::StatusOr<update::MappedModel> mapped = update::MappedModel::Open(file.path());
    Require(mapped.ok() == state.ok(), "the mapped reader takes what the other one takes");
    if (mapped.ok()) {
      RequireSame(BytesOf(mapped->values()), BytesOf(state->values), "and reads the same");
      ReadAndWriteLineage(*mapped);
    }
  }
  if (!state.ok()) return;
  const absl::StatusOr<Bytes> encoded = update::EncodeModelState(state->layout, state->values);
  Require(encoded.ok(), "a model can be written");
  const absl::StatusOr<update::ModelState> again = update::ParseModelState(*encoded);
  Require(again.ok() && again->layout == state->layout, "and read again");
  RequireSame(BytesOf(again->values), BytesOf(state->values), "with the same values");
}

void ReadAndWriteLayout(ByteView input) {
  const absl::StatusOr<update::Layout> layout = update::Layout::Decode(input);
  if (layout.ok()) RequireSame(layout->CanonicalEncoding(), input, "a layout has one encoding");
}

Bytes FileOf(ByteView header, size_t data_bytes) {
  return CanonicalWriter().Blob(header).bytes() + Bytes(data_bytes, '\x3c');
}

}  // namespace

void FuzzOne(ByteView input) {
  switch (TakeChoice(input, 3)) {
    case 0:
      return ReadAndWriteModel(input, update::ImportMode::kStrict);
    case 1:
      return ReadAndWriteModel(input, update::ImportMode::kConvert);
    default:
      return ReadAndWriteLayout(input);
  }
}

std::vector<Bytes> Seeds() {
  const update::Layout layout = *update::Layout::Create({{"fc.bias", {2}}, {"fc.weight", {2, 3}}, {"scale", {}}});
  const std::vector<float> values(layout.parameters(), 0.5f);
  const Bytes converted = FileOf(
      R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]},)"
      R"("c":{"dtype":"F64","shape":[],"data_offsets":[6,14]},)"
      R"("n.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[14,22]}})",
      22);
  const Bytes with_lineage =
      update::SafetensorsPrefix(layout, plan::LineageMetadata({{0.5, 2.0}, crypto::Sha256("parent")})) +
      Bytes(BytesOf(values));
  return {WithChoice(0, *update::EncodeModelState(layout, values)), WithChoice(0, with_lineage),
          WithChoice(1, converted), WithChoice(2, layout.CanonicalEncoding())};
}

}  // namespace cloister::fuzz
