(** Failure, certificate, greedy and rounding as programs on lists, shown to be those of the
    theorems, so that what is proved can be compared with what a program computes. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable Optimum Rounding.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Programs.
Variables (R : realFieldType) (kappa : R) (w : seq R).
Let k := size w.
Implicit Types (B : seq nat).

Definition run_priority B i r : R := nth 0 w i / (kappa + r%:R).

Definition run_failure B : R :=
  foldr (fun i x => foldr (fun r y =>
    (kappa * (1 - nth 0 w i) + r%:R) / (kappa + r%:R) * y) 1 (iota 0 (nth 0%N B i)) * x)
  1 (iota 0 k).

Definition run_certificate B : bool :=
  let next := [seq nth 0 w i / (kappa + (nth 0%N B i)%:R) | i <- iota 0 k] in
  all (fun j => (nth 0%N B j == 0)%N ||
    all (fun x => x <= nth 0 w j / (kappa + (nth 0%N B j).-1%:R)) next) (iota 0 k).

(** The lowest index of the largest element. *)
Definition first_top (s : seq R) : nat := index (foldr Num.max (head 0 s) s) s.
Definition run_next B : seq R := [seq nth 0 w i / (kappa + (nth 0%N B i)%:R) | i <- iota 0 k].
Definition run_step B : seq nat :=
  let top := first_top (run_next B) in set_nth 0%N B top (nth 0%N B top).+1.
Definition run_greedy N : seq nat := iter N run_step (nseq k 0%N).

Definition run_rounded N B : bool :=
  all (fun i => `|N%:R * nth 0 w i - (nth 0%N B i)%:R| <= 2%:R^-1) (iota 0 k).

Definition run_optimal B : bool := run_certificate B || (run_failure B == 0).

(** *** These are what the theorems speak of *)
Definition weights (i : 'I_k) : R := nth 0 w i.
Definition allocation B : alloc [finType of 'I_k] := [ffun i : 'I_k => nth 0%N B i].

Lemma all_iota (P : pred nat) : all P (iota 0 k) = [forall i : 'I_k, P i].
Proof.
apply/allP/forallP => [H i|H i]; first by apply: H; rewrite mem_iota ltn_ord.
by rewrite mem_iota => /= ik; apply: (H (Ordinal ik)).
Qed.

Lemma foldr_iota (S : ringType) (f : nat -> S) n :
  foldr (fun i x => f i * x) 1 (iota 0 n) = \prod_(i < n) f i.
Proof.
rewrite -(big_mkord xpredT f) /index_iota subn0.
by elim: (iota 0 n) => [|i s IH]; rewrite ?big_nil ?big_cons //= IH.
Qed.

Theorem run_failureE B : run_failure B = failure kappa weights (allocation B).
Proof.
rewrite /run_failure foldr_iota; apply: eq_bigr => i _.
by rewrite foldr_iota ffunE.
Qed.

Theorem run_certificateP B : reflect (certificate kappa weights (allocation B)) (run_certificate B).
Proof.
rewrite /run_certificate all_iota; apply: (iffP forallP) => [H i j|H j].
  rewrite /priority !ffunE => Bj.
  have := H j; rewrite (gtn_eqF Bj) /= => /allP; apply.
  by apply/mapP; exists (i : nat); rewrite ?mem_iota ?ltn_ord.
case: posnP => //= Bj; apply/allP=> x /mapP[i]; rewrite mem_iota /= => ik ->.
by have := H (Ordinal ik) j; rewrite /priority !ffunE; apply.
Qed.

(** What the program accepts is optimal, and nothing else is. *)
Theorem run_optimalP B : 0 < kappa -> (forall x, x \in w -> 0 <= x <= 1) ->
  reflect (best (failure kappa weights) (spent (allocation B)) (allocation B)) (run_optimal B).
Proof.
move=> kappa_gt0 w01.
have w01i i : 0 <= weights i <= 1 by apply: w01; apply: mem_nth.
apply: (iffP idP); rewrite optimum // -run_failureE.
  by case/orP => [/run_certificateP|/eqP]; auto.
by rewrite /run_optimal; case=> [/run_certificateP->|->]; rewrite ?eqxx ?orbT.
Qed.

Lemma foldr_max_ge (s : seq R) x y : y \in s -> y <= foldr Num.max x s.
Proof.
elim: s => //= z s IH; rewrite inE le_maxr => /predU1P[->|/IH->]; first by rewrite lexx.
by rewrite orbT.
Qed.

Lemma foldr_max_mem (s : seq R) x : x \in s -> foldr Num.max x s \in s.
Proof.
suff H t : foldr Num.max x t \in x :: t.
  by move=> xs; have := H s; rewrite inE => /predU1P[->|].
elim: t => [|y t IH] /=; first by rewrite mem_head.
rewrite !inE in IH *; case: leP => _; last by rewrite eqxx orbT.
by case/orP: IH => ->; rewrite ?orbT.
Qed.

Hypothesis k_gt0 : (0 < k)%N.

Lemma first_top_lt B : (first_top (run_next B) < k)%N.
Proof.
have sk : size (run_next B) = k by rewrite size_map size_iota.
rewrite -[X in (_ < X)%N]sk index_mem; apply: foldr_max_mem.
by case: (run_next B) sk k_gt0 => [/= <-|x s _ _]; rewrite ?mem_head.
Qed.

Lemma first_topP B i : (i < k)%N ->
  nth 0 (run_next B) i <= nth 0 (run_next B) (first_top (run_next B)).
Proof.
have sk : size (run_next B) = k by rewrite size_map size_iota.
move=> ik; rewrite /first_top nth_index; first by apply: foldr_max_ge; rewrite mem_nth ?sk.
by rewrite -index_mem -/(first_top _) sk first_top_lt.
Qed.

Lemma run_nextE B i : (i < k)%N ->
  nth 0 (run_next B) i = nth 0 w i / (kappa + (nth 0%N B i)%:R).
Proof. by move=> ik; rewrite (nth_map 0%N) ?size_iota // nth_iota. Qed.

Theorem run_greedyP N :
  greedy nothing unbounded (@le_R R) (priority kappa weights) (allocation (run_greedy N)).
Proof.
elim: N => [|N IH].
  suff -> : allocation (run_greedy 0) = nothing by apply: GreedyStart.
  by apply/ffunP=> i; rewrite !ffunE nth_nseq if_same.
apply: GreedyStep IH _; set B := run_greedy N.
exists (Ordinal (first_top_lt B)); split=> // [j _|].
  have := first_topP B (ltn_ord j).
  by rewrite !run_nextE ?first_top_lt // /le_R /priority !ffunE.
apply/ffunP=> j; rewrite !ffunE /= -/B /run_step nth_set_nth /=.
case: eqP => [e|ne].
  by rewrite e (_ : j == _) ?addn1 //; apply/eqP/val_inj.
by rewrite (_ : (j == _) = false) ?addn0 //; apply/eqP=> e; apply: ne; rewrite e.
Qed.

Lemma run_greedy_spends N : spent (allocation (run_greedy N)) = N.
Proof.
elim: N => [|N IH].
  by rewrite /spent big1 // => i _; rewrite ffunE nth_nseq if_same.
set B := run_greedy N in IH; rewrite -[in RHS]IH -(spent_give (Ordinal (first_top_lt B))).
congr spent; apply/ffunP=> j; rewrite !ffunE /= -/B /run_step nth_set_nth /=.
case: eqP => [e|ne].
  by rewrite e (_ : j == _) ?addn1 //; apply/eqP/val_inj.
by rewrite (_ : (j == _) = false) ?addn0 //; apply/eqP=> e; apply: ne; rewrite e.
Qed.

(** What the program returns is optimal. *)
Theorem run_greedy_optimal N : 0 < kappa -> (forall x, x \in w -> 0 <= x <= 1) ->
  best (failure kappa weights) N (allocation (run_greedy N)).
Proof.
move=> kappa_gt0 w01.
rewrite -[X in best _ X]run_greedy_spends.
apply: greedy_optimal => // [i|]; last exact: run_greedyP.
by apply: w01; apply: mem_nth.
Qed.

Theorem run_roundedP N B :
  reflect (forall i, rounds_to (N%:R * weights i) (allocation B i)) (run_rounded N B).
Proof.
rewrite /run_rounded all_iota; apply: (iffP forallP) => H i.
  by rewrite /rounds_to ffunE; apply: H.
by have := H i; rewrite /rounds_to ffunE.
Qed.
End Programs.

Arguments weights {R} w i.
Arguments allocation {R} w B.
