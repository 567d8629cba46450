(** The largest expected value of 7.2 as a program on lists, by Bellman's equation, shown to be the
    value of every index policy. One candidate a problem. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Executable Adaptive.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Programs.
Variables (R : realFieldType) (v : seq R) (h : nat -> nat -> R).
Let k := size v.

(** [Some n]: unsolved after n failures. [None]: solved. *)
Implicit Types (s : seq (option nat)) (m : 'I_k).

Definition run_solve i s := set_nth None s i None.
Definition run_fail i s := if nth None s i is Some n then set_nth None s i (Some n.+1) else s.
Definition run_worth s : R :=
  foldr (fun i x => (if nth None s i is None then nth 0 v i else 0) + x) 0 (iota 0 k).

Fixpoint run_best n s : R :=
  if n is n'.+1 then
    foldr (fun i x =>
      let chance := if nth None s i is Some l then h i l else 0 in
      Num.max (chance * run_best n' (run_solve i s) + (1 - chance) * run_best n' (run_fail i s)) x)
      (run_best n' s) (iota 0 k)
  else run_worth s.

Definition state_of s : state [finType of 'I_k] [finType of 'I_k] :=
  ([ffun m : 'I_k => odflt 0%N (nth None s m)], [ffun m : 'I_k => nth None s m == None]).
Definition itself m := m.
Definition chances m n := h m n.

Lemma state_solve m s : state_of (run_solve m s) = solve itself m (state_of s).
Proof.
congr pair; apply/ffunP=> l; rewrite !ffunE /run_solve nth_set_nth /= ?ffunE /itself.
  by rewrite (inj_eq val_inj); case: eqP.
by rewrite (inj_eq val_inj); case: (l == m).
Qed.

Lemma state_fail m s : state_of (run_fail m s) = fail itself m (state_of s).
Proof.
rewrite /run_fail; case E: (nth None s m) => [n|]; congr pair; apply/ffunP=> l; rewrite !ffunE /=.
- rewrite nth_set_nth /= (inj_eq val_inj) /open /= ffunE /itself E /=.
  by case: (eqVneq l m) => [->|_]; rewrite ?E /= ?addn1 // addn0.
- by rewrite nth_set_nth /= (inj_eq val_inj); case: (eqVneq l m) => [->|//]; rewrite E.
by rewrite /open /= ffunE /itself E /= andbF addn0.
Qed.

Lemma run_worthE s : run_worth s = worth (weights v) (state_of s).
Proof.
rewrite /worth (eq_bigl (fun m : 'I_k => nth None s m == None)); last by move=> m; rewrite ffunE.
rewrite big_mkcond /= -(big_mkord xpredT (fun i => if nth None s i == None then nth 0 v i else 0)).
rewrite /index_iota subn0 /run_worth.
by elim: (iota 0 k) => [|i r IH]; rewrite ?big_nil ?big_cons //= IH; case: (nth None s i).
Qed.

Lemma run_bestE n s : run_best n s = optimum (weights v) itself chances n (state_of s).
Proof.
elim: n s => [|n IH] s; first exact: run_worthE.
rewrite [LHS]/= [RHS]/= -IH -val_enum_ord foldr_map; elim: (enum 'I_k) => //= m r ->.
rewrite /roll /hazard /open /= !ffunE !IH state_solve state_fail /itself /chances.
by case: (nth None s m).
Qed.

(** From the start, with no failures. *)
Theorem run_best_index n pi : (forall x, x \in v -> 0 < x) ->
  (forall i r, 0 <= h i r <= 1) -> (forall i r, h i r.+1 <= h i r) ->
  let s0 := state_of (nseq k (Some 0%N)) in
  index_policy (weights v) itself chances s0 pi ->
  run_best n (nseq k (Some 0%N)) = expected (weights v) itself chances s0 pi n [::].
Proof.
move=> v_gt0 h01 falls s0 indexP; rewrite run_bestE.
rewrite (expected_index (v := weights v) _ _ _ n [::] indexP) // => [m|m r|m r].
- by apply: v_gt0; apply: mem_nth.
- exact: h01.
exact: falls.
Qed.
End Programs.
