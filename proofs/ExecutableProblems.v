(** Value and certificate of 7.1 as programs on lists, shown to be those of the theorems. Hazards
    are a function of problem and failures. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable Executable Problems.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Programs.
Variables (R : realFieldType) (v : seq R) (h : nat -> nat -> R).
Let k := size v.
Implicit Types (B lo cap : seq nat).

(** A success chance p ~ Beta(a, b), and a known one. *)
Definition beta_hazard (a b : seq R) (m r : nat) : R :=
  nth 0 a m / (nth 0 a m + nth 0 b m + r%:R).
Definition known_hazard (p : seq R) (m r : nat) : R := nth 0 p m.

Definition run_unsolved m n : R := foldr (fun r x => (1 - h m r) * x) 1 (iota 0 n).
Definition run_marginal m n : R := nth 0 v m * run_unsolved m n * h m n.
Definition run_value B : R :=
  foldr (fun m x => nth 0 v m * (1 - run_unsolved m (nth 0%N B m)) + x) 0 (iota 0 k).
Definition run_committed lo cap B : bool :=
  all (fun m => (nth 0%N B m < nth 0%N cap m)%N ==>
    all (fun l => (nth 0%N lo l < nth 0%N B l)%N ==>
      (run_marginal m (nth 0%N B m) <= run_marginal l (nth 0%N B l).-1)) (iota 0 k)) (iota 0 k).

Definition capped cap (m : 'I_k) : option nat := Some (nth 0%N cap m).
Definition hazard_of (m : 'I_k) n := h m n.

Lemma run_unsolvedE (m : 'I_k) n : run_unsolved m n = unsolved hazard_of m n.
Proof. exact: foldr_iota. Qed.

Theorem run_valueE B :
  run_value B = Problems.value (weights v) hazard_of (allocation v B).
Proof.
rewrite /run_value /Problems.value.
rewrite (eq_bigr (fun m : 'I_k => nth 0 v m * (1 - run_unsolved m (nth 0%N B m)))) => [|m _].
  rewrite -(big_mkord xpredT (fun m => nth 0 v m * (1 - run_unsolved m (nth 0%N B m)))).
  by rewrite /index_iota subn0; elim: (iota 0 k) => [|m s IH]; rewrite ?big_nil ?big_cons //= IH.
by rewrite run_unsolvedE ffunE.
Qed.

Theorem run_committedP lo cap B : reflect
  (committed_certificate (weights v) hazard_of (allocation v lo) (capped cap) (allocation v B))
  (run_committed lo cap B).
Proof.
rewrite /run_committed all_iota; apply: (iffP forallP) => [H m l|H m].
  have := H m; rewrite all_iota /room /= !ffunE => /implyP pm /pm/forallP/(_ l).
  by move/implyP => pl /pl; rewrite /run_marginal !run_unsolvedE.
apply/implyP=> room_m; rewrite all_iota; apply/forallP=> l; apply/implyP=> above.
have := H m l; rewrite /room /= !ffunE => /(_ room_m above).
by rewrite /run_marginal !run_unsolvedE.
Qed.

(** So what the program accepts is optimal between floors and caps, and nothing else is. *)
Theorem run_committed_optimum lo cap B N :
  (forall x, x \in v -> 0 <= x) -> (forall m n, 0 <= h m n <= 1) ->
  (forall m n, h m n.+1 <= h m n) ->
  feasible (allocation v lo) (capped cap) N (allocation v B) ->
  reflect (committed_optimum (weights v) hazard_of (allocation v lo) (capped cap) N (allocation v B))
    (run_committed lo cap B).
Proof.
move=> v0 h01 falls fB.
have v_ge0 m : 0 <= weights v m by apply: v0; apply: mem_nth.
have decides := committed_certificateP (h := hazard_of) v_ge0 (fun m n => h01 m n)
  (fun m n => falls m n) fB.
by apply: (iffP (run_committedP lo cap B)) => [c|o]; apply/decides.
Qed.
End Programs.
