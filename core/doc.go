// Package core holds the nouns of Scanhook, their legal changes, and the rules as pure functions. It does no I/O, and it
// imports no other package of Scanhook except core/anomaly, core/intern and core/patch, which stand alone. Algorithms that
// work on the nouns are packages that import it: core/intake decides what deliveries lead to, core/refs where refs stand after them,
// core/match recognises findings in the next commit, core/alerts through all commits, core/naming decides which project has which
// name, core/secrets masks secrets, core/timeline tells what happened to a commit. core/liveness finds webhooks that stopped
// calling.
//
// # Reading order
//
//   - event.go: webhooks and what they announce; ref.go: refs, commits and what differs between them; policy.go: which of them are scanned, and how
//   - scan.go: scans and jobs; report.go and finding.go: what scanners say
//   - gate.go: from findings to the verdict and its text; epss.go: what is known about vulnerabilities
//   - triage.go: what people, scanners and AIs decide about a finding
//   - status.go: the commit status as it should be, as it was posted, and as others changed it
//   - pipeline.go: runs of CI pipelines; audit.go: who did what; text.go: text from outside; errors.go: sentinels
//
// # Glossary
//
// These are the only words for these things, in code, texts and documents.
//
//	platform, kind           one configured instance (its key in the configuration is source_platform); the kind (github,
//	                         gitlab, gitea) says which adapter serves it
//	project                  a repository, known by the platform's numeric id; its path (project_name) can change hands
//	ref                      a branch, tag or pull request of a project, and the commit where it stands
//	request                  a pull or merge request; its head is a ref
//	delivery                 one webhook call
//	verification             how a delivery proved to be authentic
//	scan, job, report        the examination of one commit; one scanner's part of it; what that scanner says
//	finding, fingerprint     one result of one scan; what makes it the same in the next commit
//	alert                    the same finding through all commits of a project
//	category, revision       which part of a commit a report covers; one upload of it
//	anchor, surroundings     what the matcher stores to recognise a finding; digests of the lines around it
//	baseline, baseline state what a scan is compared with; new, unchanged, absent (SARIF's words)
//	gate, verdict            the policy; pass or fail, with the findings and the rule that decided it
//	tally                    a count of findings that are alike for the gate
//	triage update, decision  what a source says about a finding; its true or false positive, which holds in all scans of
//	                         the project until the source says something else
//	propagate                to repeat a decision for the same finding in other scans
//	dismissal                a decision that takes a finding out of the gate
//	desired, posted status   what a commit should show; what we posted
//	note                     the one comment of ours on a request, about its head
//	drift                    the difference between what we posted and what the platform shows
//	restore                  to post our status again after another program replaced it
//	hold, probe              posting is paused for a project, with the reason; an attempt that tests whether it may go on
//	timeline                 what happened to a commit, from the delivery to the status
//	pipeline, run            a CI pipeline of the project; one attempt of it
//	coverage                 what was searched, and what was not, with the reason
//	in history               a finding whose code is in a pushed commit, but no longer in the tree
//	unresolved               failed the gate on the default branch, neither fixed nor triaged
//	override                 an admin's decision that turns one commit's status green
//	reconcile, redelivery    comparing refs with scans; asking the platform to send a delivery again
package core
