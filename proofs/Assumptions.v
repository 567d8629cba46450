(** Each theorem as it is stated, and what it rests on, printed while the proofs are checked. *)
From Coq Require Import Reals.
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Exchange Separable Optimum Rounding LogConvex Problems Adaptive Priors.
From Dora Require Posterior Latent Executable ExecutableProblems.
From Dora Require ExecutableAdaptive Counterexamples.
Local Open Scope ring_scope.
Set Printing Width 100.

Check @Exchange.passes_optimal.
Print Assumptions Exchange.passes_optimal.

Check @Exchange.optimal_passes.
Print Assumptions Exchange.optimal_passes.

Check @Exchange.certificateP.
Print Assumptions Exchange.certificateP.

Check @Exchange.greedy_passes.
Print Assumptions Exchange.greedy_passes.

Check @Exchange.greedy_optimal.
Print Assumptions Exchange.greedy_optimal.

Check @Exchange.greedy_exists.
Print Assumptions Exchange.greedy_exists.

Check @Separable.product_certificate.
Print Assumptions Separable.product_certificate.

Check @Optimum.beta_optimum.
Print Assumptions Optimum.beta_optimum.

Check @Optimum.beta_greedy_optimal.
Print Assumptions Optimum.beta_greedy_optimal.

Check @Optimum.optimum.
Print Assumptions Optimum.optimum.

Check @Optimum.certificate_optimal.
Print Assumptions Optimum.certificate_optimal.

Check @Optimum.certificate_decides.
Print Assumptions Optimum.certificate_decides.

Check @Optimum.greedy_optimal.
Print Assumptions Optimum.greedy_optimal.

Check @Optimum.greedy_spends.
Print Assumptions Optimum.greedy_spends.

Check @Optimum.winner_takes_all.
Print Assumptions Optimum.winner_takes_all.

Check @Optimum.surrogate_certificate.
Print Assumptions Optimum.surrogate_certificate.

Check @Optimum.surrogate_same_optima.
Print Assumptions Optimum.surrogate_same_optima.

Check @Rounding.divisor_certificate.
Print Assumptions Rounding.divisor_certificate.

Check @Rounding.certificate_divisor.
Print Assumptions Rounding.certificate_divisor.

Check @Rounding.rounding_is_webster.
Print Assumptions Rounding.rounding_is_webster.

Check @Rounding.rounding_certified.
Print Assumptions Rounding.rounding_certified.

Check @Rounding.rounding_optimal.
Print Assumptions Rounding.rounding_optimal.

Check @LogConvex.product_log_convex.
Print Assumptions LogConvex.product_log_convex.

Check @LogConvex.mixture_log_convex.
Print Assumptions LogConvex.mixture_log_convex.

Check @LogConvex.directions_certificate.
Print Assumptions LogConvex.directions_certificate.

Check @LogConvex.directions_greedy.
Print Assumptions LogConvex.directions_greedy.

Check @LogConvex.known_log_convex.
Print Assumptions LogConvex.known_log_convex.

Check @LogConvex.mixed_log_convex.
Print Assumptions LogConvex.mixed_log_convex.

Check @LogConvex.mixed_greedy.
Print Assumptions LogConvex.mixed_greedy.

Check @Problems.marginal_falls.
Print Assumptions Problems.marginal_falls.

Check @Problems.marginal_falls_strictly.
Print Assumptions Problems.marginal_falls_strictly.

Check @Problems.committed_certificateP.
Print Assumptions Problems.committed_certificateP.

Check @Problems.committed_greedy_exact.
Print Assumptions Problems.committed_greedy_exact.

Check @Problems.committed_greedy_exists.
Print Assumptions Problems.committed_greedy_exists.

Check @Adaptive.index_policy_exists.
Print Assumptions Adaptive.index_policy_exists.

Check @Adaptive.index_policy_optimal.
Print Assumptions Adaptive.index_policy_optimal.

Check @Priors.success_monotone.
Print Assumptions Priors.success_monotone.

Check @Priors.success_submodular.
Print Assumptions Priors.success_submodular.

Check @Priors.moments_log_convex.
Print Assumptions Priors.moments_log_convex.

Check @Priors.posterior_mean_falls.
Print Assumptions Priors.posterior_mean_falls.

Check @Posterior.value_posterior.
Print Assumptions Posterior.value_posterior.

Check @Posterior.posterior_index_optimal.
Print Assumptions Posterior.posterior_index_optimal.

Check @Latent.certificate_ratio.
Print Assumptions Latent.certificate_ratio.

Check @Latent.certificate_bound.
Print Assumptions Latent.certificate_bound.

Check @Latent.fall_falls.
Print Assumptions Latent.fall_falls.

Check @Latent.greedy_certified.
Print Assumptions Latent.greedy_certified.

Check @Latent.gap_largest.
Print Assumptions Latent.gap_largest.

Check @Latent.certificate_optimum.
Print Assumptions Latent.certificate_optimum.

Check @Latent.latent_optimal.
Print Assumptions Latent.latent_optimal.

Check @Latent.prior_certificate.
Print Assumptions Latent.prior_certificate.

Check @Latent.prior_optimal.
Print Assumptions Latent.prior_optimal.

Check @Executable.run_failureE.
Print Assumptions Executable.run_failureE.

Check @Executable.run_certificateP.
Print Assumptions Executable.run_certificateP.

Check @Executable.run_optimalP.
Print Assumptions Executable.run_optimalP.

Check @Executable.run_greedyP.
Print Assumptions Executable.run_greedyP.

Check @Executable.run_greedy_optimal.
Print Assumptions Executable.run_greedy_optimal.

Check @Executable.run_roundedP.
Print Assumptions Executable.run_roundedP.

Check @ExecutableProblems.run_valueE.
Print Assumptions ExecutableProblems.run_valueE.

Check @ExecutableProblems.run_committedP.
Print Assumptions ExecutableProblems.run_committedP.

Check @ExecutableProblems.run_committed_optimum.
Print Assumptions ExecutableProblems.run_committed_optimum.

Check @ExecutableAdaptive.run_best_index.
Print Assumptions ExecutableAdaptive.run_best_index.

Check @Counterexamples.next_certificate_refuted.
Print Assumptions Counterexamples.next_certificate_refuted.

Check @Counterexamples.certificate_not_necessary.
Print Assumptions Counterexamples.certificate_not_necessary.
