# What the provenance of a build must say: which builder made it. The
# attestation is input.attestation; put your own builders in.
package obreia

default allow := false

builders := {"https://github.com/actions/runner/github-hosted"}

allow if input.attestation.predicate.runDetails.builder.id in builders

deny contains message if {
	id := object.get(input.attestation.predicate, ["runDetails", "builder", "id"], "")
	not id in builders
	message := sprintf("built by %q, which is not a builder of ours", [id])
}
