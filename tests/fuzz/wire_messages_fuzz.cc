// SPDX-License-Identifier: Apache-2.0
// Every other message with a codec: work for sites, blobs, and what an operator is told.
#include "protocols/wire/codec.h"
#include "tests/fuzz/target.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::fuzz {
namespace {

// A codec's messages on the wire, of which the first byte of an input chooses one.
template <typename... Messages>
struct Codecs {
  static constexpr size_t kCount = sizeof...(Messages);

  static void ReadAndWrite(size_t choice, ByteView input) {
    size_t index = 0;
    ((index++ == choice ? ReadAndWriteOne<Messages>(input) : static_cast<void>(0)), ...);
  }

 private:
  template <typename Message>
  static void ReadAndWriteOne(ByteView input) {
    Message message;
    if (!message.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
    const auto decoded = wire::Decode(message);
    if (!decoded.ok()) return;
    const Message encoded = wire::Encode(*decoded);
    const auto again = wire::Decode(encoded);
    Require(again.ok(), "what was taken is taken again");
    RequireSame(wire::Encode(*again).SerializeAsString(), encoded.SerializeAsString(), "and is the same");
  }
};

namespace v1 = wire::v1;
using All = Codecs<v1::WorkItem, v1::PullWorkReply, v1::PullWorkRequest, v1::BlobHeader, v1::StatBlobReply,
                   v1::ExperimentEvent, v1::ReleaseStatus, v1::SiteStatus>;

}  // namespace

void FuzzOne(ByteView input) {
  const size_t choice = TakeChoice(input, All::kCount);
  All::ReadAndWrite(choice, input);
}

std::vector<Bytes> Seeds() {
  const JobId job = *JobId::Parse("job-1");
  const SiteId site = *SiteId::Parse("site-a");
  const Digest digest = wire::MakeDigest('d');
  std::vector<Bytes> seeds;
  for (const wire::WorkItem& item : wire::AllWorkItems()) {
    seeds.push_back(WithChoice(0, wire::Encode(item).SerializeAsString()));
  }
  wire::ExperimentEvent event{7, 1, "round 3 begins", {}};
  event.status.job = job;
  event.status.sites = {{site, "refused", wire::RefusalReason::kNoCohort, wire::FailureReason::kDiskFull}};
  event.status.gates = {{"AUC", "round-3", "pooled", "pass", "0.91"}};
  event.status.step = wire::SumPhase::kMask;
  event.status.release = *ReleaseId::Parse("release-1");
  event.status.model = digest;
  const wire::ReleaseStatus release{*ReleaseId::Parse("release-1"),        job, "1.0.0.0", wire::MakeDocument(),
                                    {{site, wire::ReleaseState::kActive}}, 1};
  const Bytes more[] = {
      wire::Encode(wire::Work{9, wire::AllWorkItems()}).SerializeAsString(),
      wire::Encode(wire::PullRequest{9, 1000, "0.1.0"}).SerializeAsString(),
      wire::Encode(wire::BlobHeader{digest, 44, wire::BlobPurpose::kMaskedVector, job}).SerializeAsString(),
      wire::Encode(wire::BlobStat{44, true}).SerializeAsString(),
      wire::Encode(event).SerializeAsString(),
      wire::Encode(release).SerializeAsString(),
      wire::Encode(wire::SiteStatus{site, 1, 2, "0.1.0", 3}).SerializeAsString(),
  };
  for (size_t i = 0; i < std::size(more); ++i) seeds.push_back(WithChoice(1 + i, more[i]));
  return seeds;
}

}  // namespace cloister::fuzz
