#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What secure aggregation rests on, one mutant for each check and each input of a key: protocols/secagg with just that
# taken out. The test named beside it has to fail, or nobody would notice it missing.
# Usage: mutants.sh <source folder> <build folder> <ninja> [name of one mutant]. The test has to be built before.
set -euo pipefail
source=$1 build=$2 ninja=$3 only=${4:-}
jobs=2
test_seconds=120
work=$build/secagg_mutants

# mutant <name> <file in protocols/secagg> <gtest filter> <text that is there exactly once> <what replaces it>
names=() files=() filters=() texts=() replacements=()
mutant() {
  [[ -z $only || $only == "$1" ]] || return 0
  names+=("$1") files+=("$2") filters+=("$3") texts+=("$4") replacements+=("$5")
}

# ---- who takes part ----
mutant advert_signature roster.cc 'AttackTest.H_*' \
  'crypto::VerifyEd25519(certificate.public_key(), DomainOf(MessageType::kAdvert),
                                                          SignedPart(message), message.signature)' \
  'absl::OkStatus()'
mutant advert_certificate_chain roster.cc 'AttackTest.I_*' \
  'crypto::VerifyChain(certificate, trust.ca, trust.now, crypto::Role::kSite)' \
  'absl::OkStatus()'
mutant advert_of_the_certificates_site roster.cc 'AttackTest.I_*' \
  'certificate.subject_id() != message.site.value()' \
  'false'
mutant advert_context roster.cc 'AttackTest.A_*' \
  'CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx0, ctx0, "model, plan or attempt"));' \
  ''
mutant participants roster.cc 'AdversaryTest.OtherCertificates*' \
  '!params.participants.empty() && !named' \
  'false'
mutant site_once roster.cc 'AttackTest.J_*' \
  'i > 0 && !(members[i - 1].site < member.site)' \
  'false'
mutant key_once roster.cc 'AdversaryTest.AKeyTwice*' \
  '!channel_keys.insert(member.channel_key).second || !mask_keys.insert(member.mask_key).second ||
        !signing_keys.insert(member.signing_key).second' \
  'false'
mutant key_of_low_order roster.cc 'AdversaryTest.AKeyTwice*' \
  '!IsUsable(key)' \
  'false'
mutant own_advert client_core.cc 'AttackTest.H_*' \
  'message.adverts[*index] != now.advert' \
  'false'
mutant models_checked client_core.cc 'ModelsCheckedTest.*' \
  'checked > params.colluders' \
  'checked >= params.colluders'

# ---- how many ----
mutant cohort_minimum params.cc 'AttackTest.K_*' \
  'n < minimum || n > MostSites(params)' \
  'n > MostSites(params)'
mutant colluders params.cc 'SessionTest.TheCohortFloor*' \
  '2 * Threshold(n) <= n + params.colluders' \
  'false'
mutant threshold params.cc 'ThresholdTest.*' \
  '2 * n / 3 + 1' \
  '2 * n / 3'
mutant quorum_is_at_least_the_minimum roster.cc 'SessionTest.TheMinimumHolds*' \
  'std::max({params.n_min, kCohortFloor, roster.threshold_})' \
  'roster.threshold_'
mutant quorum_of_sharers client_core.cc 'AttackTest.K_*' \
  'CLOISTER_RETURN_IF_ERROR(CheckQuorum(params, now.roster, sharers.size(), "sites shared their secrets"));' \
  ''
mutant quorum_of_survivors client_core.cc 'AttackTest.K_*' \
  'CLOISTER_RETURN_IF_ERROR(CheckQuorum(params, now.roster, survivors.size(), "survivors"));' \
  ''
mutant quorum_of_confirmations client_core.cc 'AttackTest.K_*' \
  'signers.size() < static_cast<size_t>(now.roster.threshold())' \
  'false'
mutant shamir_threshold shamir.cc 'ShamirTest.OneShareLessDoesNot*' \
  'for (size_t i = 1; i < polynomial.size(); ++i)' \
  'for (size_t i = 1; i + 1 < polynomial.size(); ++i)'

# ---- the graph ----
mutant parameters_exist params.cc 'NeighbourhoodsTest.SparseParameters*' \
  'CLOISTER_RETURN_IF_ERROR(Annotate(
        SparseParametersOf(participants.size(), params.colluders, params.graph->graphs).status(), NameOf(params)));' \
  ''
mutant threshold_of_the_parameters neighbourhoods.cc 'NeighbourhoodsTest.ParametersAre*' \
  'result.threshold_ = parameters.threshold;' \
  'result.threshold_ = parameters.threshold - 1;'
mutant graph_of_the_round neighbourhoods.cc 'NeighbourhoodsTest.EveryRound*' \
  'RoundGraphSeed(params.graph->seed, params.job, params.round, params.attempt)' \
  'params.graph->seed'
mutant places_of_participants neighbourhoods.cc 'NeighbourhoodsTest.TheGraphDoesNot*' \
  'result.place_of_.push_back(place);
    result.member_of_[place] = member;' \
  'result.place_of_.push_back(member);
    result.member_of_[member] = member;'
mutant graph_seed_in_context transcript.cc 'NeighbourhoodsTest.EveryTerm*' \
  'writer.Put(graph->seed);' \
  ''
mutant degree_in_context transcript.cc 'NeighbourhoodsTest.EveryTerm*' \
  'writer.U32(static_cast<uint32_t>(graph->parameters.degree));' \
  ''
mutant local_threshold_in_context transcript.cc 'NeighbourhoodsTest.EveryTerm*' \
  'writer.U32(static_cast<uint32_t>(graph->parameters.threshold));' \
  ''
mutant neighbours_in_the_roster roster.cc 'SparseAttackTest.P_*' \
  'CLOISTER_RETURN_IF_ERROR(roster.CheckReach(params, all, all));' \
  ''
mutant neighbours_among_sharers client_core.cc 'SparseAttackTest.K_AndP_*' \
  'CLOISTER_RETURN_IF_ERROR(now.roster.CheckReach(params, sharers, sharers));' \
  ''
mutant neighbours_among_survivors client_core.cc 'SparseAttackTest.K_AndP_*' \
  'CLOISTER_RETURN_IF_ERROR(now.roster.CheckReach(params, now.sharers, survivors));' \
  ''
mutant shares_go_to_neighbours server_take.cc 'SparseAttackTest.L_ADealer*' \
  'share.recipient == (*roster)[neighbourhood[i].member].site &&' \
  ''
mutant check_part_for_strangers dealing.cc 'SparseAttackTest.ADealerThatGives*' \
  'CheckSeedCommitment(roster.ctx1(), from, part) != root.check_part' \
  'false'
mutant graph_reveal_is_what_was_committed graph_seed.cc 'GraphSeedTest.AMissing*' \
  'GraphCommitment(job, site, reveal->second) != commitment' \
  'false'
mutant graph_commitment_of_the_job graph_seed.cc 'GraphSeedTest.CommitmentsOfAnotherJob*' \
  'Blob("CSA1/graph-commit").Blob(job.value())' \
  'Blob("CSA1/graph-commit")'
mutant graph_commitment_of_the_site graph_seed.cc 'GraphSeedTest.ACopied*' \
  'Blob("CSA1/graph-commit").Blob(job.value()).Blob(site.value())' \
  'Blob("CSA1/graph-commit").Blob(job.value())'
mutant graph_seed_of_everybody graph_seed.cc 'GraphSeedTest.EverySiteHas*' \
  'writer.Blob(site.value()).Fixed(reveal->second);' \
  'writer.Blob(site.value());'

# ---- one story for everybody ----
mutant roster_in_context transcript.cc 'AttackTest.B_*' \
  'for (const Bytes& advert : adverts) writer.Blob(advert);' \
  ''
mutant share_roots_in_context transcript.cc 'AttackTest.C_*' \
  'for (const Bytes& root : share_roots) writer.Blob(root);' \
  ''
mutant commits_in_survivor_digest transcript.cc 'AttackTest.D_*' \
  'for (const Bytes& commit : commits) writer.Blob(commit);' \
  ''
mutant share_root_signature roster.cc 'AdversaryTest.ShareDeliveries*' \
  'CheckMember(params, roster, message.site, kShareRootDomain, SignedPart(message), message.signature)' \
  'absl::OkStatus()'
mutant share_root_context roster.cc 'AttackTest.B_*' \
  'CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx1, roster.ctx1(), "roster"));' \
  ''
mutant own_share_root client_core.cc 'AdversaryTest.ShareDeliveries*' \
  'root.site == self && bytes != now.share_root' \
  'false'
mutant merkle_path client_core.cc 'AdversaryTest.ShareDeliveries*' \
  'crypto::MerklePathLeadsTo(root.root, ShareLeaf(entry.share), position, holders.size(), entry.path)' \
  'position < holders.size()'
mutant shares_are_what_was_signed dealing.cc 'WrongShareTest.ABadEnvelope*' \
  'ShareHash(ctx1, from, to, ShareKind::kSelfMask, dealt.pair.self_mask) != share.self_mask_hash ||
      ShareHash(ctx1, from, to, ShareKind::kKey, dealt.pair.key) != share.key_hash ||' \
  ''
mutant check_part_commitment dealing.cc 'WrongShareTest.AnOwnerThatDealsAnotherCheckPart*' \
  'CheckSeedCommitment(ctx1, from, dealt.check_part) != root.check_part' \
  'false'
mutant commit_signature roster.cc 'AdversaryTest.SurvivorLists*' \
  'CLOISTER_RETURN_IF_ERROR(CheckMember(params, roster, message.site, DomainOf(MessageType::kMaskedCommit),
                                       SignedPart(message), message.signature));' \
  ''
mutant commit_context roster.cc 'AttackTest.C_*' \
  'CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx2, ctx2, "roster or set of sharers"));
  bool fits' \
  'bool fits'
mutant own_commit client_core.cc 'AdversaryTest.SurvivorLists*' \
  'commit.site == self && bytes != now.commit' \
  'false'
mutant survivors_have_shared client_core.cc 'AttackTest.M_*' \
  '!Contains(now.sharers, survivor)' \
  'false'
mutant shared_itself client_core.cc 'AttackTest.P_*' \
  '!Contains(sharers, now.self)' \
  'false'
mutant survives_itself client_core.cc 'AttackTest.E_*' \
  '!ours_is_there' \
  'false'
mutant confirmation_signature roster.cc 'AdversaryTest.SignatureSets*' \
  'CLOISTER_RETURN_IF_ERROR(CheckMember(params, roster, message.site, DomainOf(MessageType::kConsistency),
                                       SignedPart(message), message.signature));' \
  ''
mutant confirmation_of_the_same_list client_core.cc 'AttackTest.D_*' \
  'consistency.survivors != now.check.survivors' \
  'false'
mutant confirmations_of_survivors client_core.cc 'AdversaryTest.AConfirmation*' \
  '!Contains(now.survivors, signing)' \
  'false'

# ---- once ----
mutant facts_are_not_contradicted client_core.cc 'RestartTest.Never*' \
  '!is_new && stored->second != value' \
  'false'
mutant facts_are_handed_out client_core.cc 'RestartTest.Never*' \
  'step.facts.push_back({key, value});' \
  ''
mutant closed_is_noted client_core.cc 'RestartTest.ARoundThatReleased*' \
  'CLOISTER_RETURN_IF_ERROR(AssertKey(step, FactScope(params) + "closed", ctx0));' \
  ''
mutant closed_is_heeded client_session.cc 'RestartTest.ARoundThatReleased*' \
  'closed != inputs.facts.end() && closed->second != ctx0' \
  'false'
mutant newest_attempt_only client_session.cc 'DifferencingTest.*' \
  'newest > inputs.params.attempt' \
  'false'
mutant one_kind_of_share client_core.cc 'AttackTest.E_*' \
  'if (Contains(survivors, owner)) {
      reveals.push_back({state.roster[owner].site, SelfMaskShare{pair.self_mask}});
    } else {' \
  '{
      reveals.push_back({state.roster[owner].site, SelfMaskShare{pair.self_mask}});
      '

# ---- masks ----
mutant self_mask_of_this_sum mask.cc 'MaskKeyTest.*' \
  'crypto::Hkdf(ctx2.view(), self_mask, info, kKeyBytes)' \
  'crypto::Hkdf(ByteView(ctx2.view().data(), 0), self_mask, info, kKeyBytes)'
mutant pair_mask_of_this_sum mask.cc 'MaskKeyTest.*' \
  'crypto::Hkdf(ctx2.view(), shared_secret, info, kKeyBytes)' \
  'crypto::Hkdf(ByteView(ctx2.view().data(), 0), shared_secret, info, kKeyBytes)'
mutant pair_mask_of_one_vector mask.cc 'MaskKeyTest.*' \
  '.Blob(vector_name)
                         .Take()' \
  '.Take()'
mutant self_mask_of_one_vector mask.cc 'MaskKeyTest.*' \
  'Blob(site.value()).Blob(vector_name)' \
  'Blob(site.value())'
mutant sign_of_the_pair client_core.cc 'SessionTest.IsExactForEveryCohort*' \
  'AddsPairMask(site, member.site)});' \
  'true});'
mutant element_masked_once client_core.cc 'SessionTest.MaskingIsOnce*' \
  'next->first < end) return false;' \
  'next->first < end) return true;'
mutant every_element_masked client_core.cc 'SessionTest.MaskingIsOnce*' \
  '!now.covered[i].IsAllOf(params.vectors[i].length)' \
  'false'
mutant tag_is_masked client_session.cc 'CheckTagTest.TheTagOnTheWire*' \
  'FieldAdd(now->tag.value(), now->tag_mask)' \
  'now->tag.value()'

# ---- what the coordinator checks, and whom it names ----
mutant sender server_take.cc 'MaliciousSiteTest.IsNamed*' \
  'from == said' \
  'true'
mutant vectors_of_the_plan roster.cc 'MaliciousSiteTest.IsNamed*' \
  'fits = message.vectors[i].length == params.vectors[i].length' \
  'fits = true'
mutant unmask_signature server_take.cc 'WrongShareTest.RevealsOfTheWrongKind*' \
  'roster->CheckSignature(holder, DomainOf(MessageType::kUnmask), SignedPart(unmask), unmask.signature)' \
  'absl::OkStatus()'
mutant unmask_of_this_sum server_take.cc 'MaliciousSiteTest.IsNamed*' \
  'unmask.ctx2 != ctx2 || unmask.survivors != survivor_digest' \
  'false'
mutant reveals_of_the_right_kind server_take.cc 'WrongShareTest.RevealsOfTheWrongKind*' \
  '&& survived == std::holds_alternative<SelfMaskShare>(reveal.share)' \
  ''
mutant revealed_share_hash server_take.cc 'WrongShareTest.AHolderThatReveals*' \
  'ShareHash(roster->ctx1(), owner_site, holder_site, kind, share) != wanted' \
  'wanted == Digest()'
mutant recovered_self_mask server_close.cc 'WrongShareTest.AnOwnerThatDealtAnotherSelfMask*' \
  'SelfMaskCommitment(ctx0, member.site, *secret) == member.self_mask_commitment' \
  'true'
mutant recovered_mask_key server_close.cc 'WrongShareTest.AnOwnerThatDealtAnotherMaskKey*' \
  'crypto::X25519KeyPair::FromSeed(secret->Clone()).value().public_key() == member.mask_key' \
  'true'

commands=$("$ninja" -C "$build" -t commands protocols_secagg_test)
link=$(tail -n 1 <<<"$commands")
first_object=$(grep -oE '[^ ]+\.o' <<<"$link" | head -n 1)
rm -rf "$work"
mkdir -p "$work"

write_mutant() {  # index: the changed file, in its own folder
  local folder=$work/${names[$1]} text=${texts[$1]} content
  content=$(<"$source/protocols/secagg/${files[$1]}")
  local rest=${content#*"$text"}
  if [[ $rest == "$content" || $rest == *"$text"* ]]; then
    echo "mutant ${names[$1]}: its text is not in ${files[$1]} exactly once; the table in mutants.sh is out of date"
    return 1
  fi
  mkdir -p "$folder"
  printf '%s\n' "${content%%"$text"*}${replacements[$1]}$rest" >"$folder/${files[$1]}"
}

# Compiles the one file as the project does, links it before the library that has the true one, runs the tests.
run_mutant() {  # index: its verdict
  local folder=$work/${names[$1]} file=${files[$1]} compile status=0
  compile=$(grep -F -- " -c $source/protocols/secagg/$file" <<<"$commands")
  compile=$(sed -E "s| -MD -MT .* -c .*$| -O1 -w -c $folder/$file -o $folder/mutant.o|" <<<"$compile")
  if ! (cd "$build" && eval "$compile" &&
    eval "$(sed "s|$first_object|$folder/mutant.o $first_object|; s|-o bin/[^ ]*|-o $folder/test|" <<<"$link")") \
    >"$folder/build.log" 2>&1; then
    echo "DOES NOT BUILD, see $folder/build.log"
    return
  fi
  timeout "$test_seconds" "$folder/test" --gtest_filter="${filters[$1]}" >"$folder/test.log" 2>&1 || status=$?
  rm "$folder/test"
  case $status in
    0) echo "SURVIVED ${filters[$1]}" ;;
    1) echo "killed by $(grep -m 1 -oP '\[  FAILED  \] \K[\w.]+' "$folder/test.log")" ;;
    124) echo "TIMED OUT" ;;
    *) echo "killed by a crash in $(grep -oP '\[ RUN      \] \K[\w.]+' "$folder/test.log" | tail -n 1)" ;;
  esac
}

for i in "${!names[@]}"; do write_mutant "$i"; done
# Without a mutation all of these tests pass.
all_filters=$(IFS=:; echo "${filters[*]}")
"$build/bin/protocols_secagg_test" --gtest_filter="$all_filters" --gtest_brief=1 >"$work/unchanged.log" ||
  { cat "$work/unchanged.log"; exit 1; }
for i in "${!names[@]}"; do
  while (($(jobs -rp | wc -l) >= jobs)); do wait -n || true; done
  run_mutant "$i" >"$work/${names[$i]}/verdict" &
done
wait

killed=0
for i in "${!names[@]}"; do
  verdict=$(<"$work/${names[$i]}/verdict")
  printf '%-34s %-18s %s\n' "${names[$i]}" "${files[$i]}" "$verdict"
  if [[ $verdict == killed* ]]; then killed=$((killed + 1)); fi
done
echo "$killed of ${#names[@]} mutants killed"
[[ $killed == "${#names[@]}" && $killed -gt 0 ]]
