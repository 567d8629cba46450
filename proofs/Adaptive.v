(** 7.2: a verified success ends a problem, and every outcome is seen before the next rollout. Each
    rollout is of one candidate of one problem. Among all policies, which may depend on the whole
    history and on chance, and may idle, none has a larger expected value of what is solved than one
    that always rolls a candidate with the largest v_m h_c(failures so far) among the unsolved
    problems m, whatever it does with ties; for every budget at once, if hazards fall.

    A rollout of candidate c of an unsolved problem after n failures of c succeeds with probability
    h_c n, whatever else has happened: that is what independent candidates with these hazards are.
    The proof swaps the rollout that another policy makes first with the index policy's. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Adaptive.
(** Problems I, each worth [v]; candidates K, each of the problem [owner]. *)
Variables (I K : finType) (R : realDomainType) (v : I -> R) (owner : K -> I) (h : K -> nat -> R).

(** *** The process *)

(** Failures of each candidate and, for each problem, whether it is solved; then its candidates
    count no more. *)
Definition state := ({ffun K -> nat} * {ffun I -> bool})%type.
Definition open (s : state) c := ~~ s.2 (owner c).
Definition solve c (s : state) : state :=
  ([ffun k => if owner k == owner c then 0 else s.1 k]%N, [ffun m => (m == owner c) || s.2 m]).
Definition fail c (s : state) : state := ([ffun k => s.1 k + ((k == c) && open s c)]%N, s.2).

(** The chance that a rollout owner c solves its problem; what is solved is not solved again. *)
Definition hazard (s : state) c : R := if open s c then h c (s.1 c) else 0.
Definition worth (s : state) : R := \sum_(m | s.2 m) v m.

(** What has happened, the latest first: c was rolled and solved, or failed; or nobody was. *)
Definition history := seq (option (K * bool)).
Definition step (e : option (K * bool)) (s : state) :=
  if e is Some (c, solved) then (if solved then solve else fail) c s else s.
Definition after (s0 : state) (past : history) := foldr step s0 past.

(** A policy rolls c with probability [pi past c], and idles with what is missing to 1. *)
Definition policy (pi : history -> K -> R) :=
  forall past, (forall c, 0 <= pi past c) /\ \sum_c pi past c <= 1.

(** The expected value of all that is solved when [n] more rollouts have been made. *)
Fixpoint expected (s0 : state) (pi : history -> K -> R) (n : nat) (past : history) : R :=
  let s := after s0 past in
  if n is n'.+1 then
    \sum_c pi past c *
      (hazard s c * expected s0 pi n' (Some (c, true) :: past)
       + (1 - hazard s c) * expected s0 pi n' (Some (c, false) :: past))
    + (1 - \sum_c pi past c) * expected s0 pi n' (None :: past)
  else worth s.

(** The index is the value times the chance of success now, which is the posterior mean. An index
    policy rolls only candidates of the largest index, and never idles. *)
Definition index (s : state) c : R := v (owner c) * hazard s c.
Definition is_top (s : state) c := forall k, index s k <= index s c.
Definition index_policy (s0 : state) (pi : history -> K -> R) :=
  forall past, [/\ forall c, 0 <= pi past c, \sum_c pi past c = 1
    & forall c, 0 < pi past c -> is_top (after s0 past) c].

(** *** The proof *)
Implicit Types (s t : state) (m : I) (c k : K).
Hypothesis v_gt0 : forall m, 0 < v m.
Let v_ge0 m : 0 <= v m. Proof. exact: ltW. Qed.
Hypothesis h01 : forall c n, 0 <= h c n <= 1.
Hypothesis hazards_fall : forall c n, h c n.+1 <= h c n.

Lemma hazard_ge0 s c : 0 <= hazard s c.
Proof. by rewrite /hazard; case: ifP => // _; case/andP: (h01 c (s.1 c)). Qed.

Lemma hazard_le1 s c : 0 <= 1 - hazard s c.
Proof.
by rewrite subr_ge0 /hazard; case: ifP => _; [case/andP: (h01 c (s.1 c)) | apply: ler01].
Qed.

Lemma index_ge0 s c : 0 <= index s c.
Proof. by rewrite mulr_ge0 ?hazard_ge0. Qed.

Definition roll c (X : state -> R) s :=
  hazard s c * X (solve c s) + (1 - hazard s c) * X (fail c s).

Lemma roll_le c X Y s : (forall t, X t <= Y t) -> roll c X s <= roll c Y s.
Proof. by move=> XY; rewrite ler_add // ler_wpmul2l ?hazard_ge0 ?hazard_le1. Qed.

Lemma hazard_fail s c k : c != k -> hazard (fail k s) c = hazard s c.
Proof. by move=> ck; rewrite /hazard /open /= ffunE (negPf ck) addn0. Qed.

Lemma hazard_solve s c k : owner c != owner k -> hazard (solve k s) c = hazard s c.
Proof. by move=> ck; rewrite /hazard /open /= !ffunE (negPf ck). Qed.

Lemma hazard_solved s c k : owner c = owner k -> hazard (solve k s) c = 0.
Proof. by move=> ck; rewrite /hazard /open /= ffunE ck eqxx. Qed.

Lemma solve_swap s c k : solve c (solve k s) = solve k (solve c s).
Proof.
by congr pair; apply/ffunP=> l; rewrite !ffunE; [case: eqP; case: eqP | rewrite orbCA].
Qed.

Lemma fail_swap s c k : fail c (fail k s) = fail k (fail c s).
Proof. by congr pair; apply/ffunP=> l; rewrite !ffunE /open addnAC. Qed.

Lemma solve_fail s c k : owner c != owner k -> solve c (fail k s) = fail k (solve c s).
Proof.
move=> ck; congr pair; apply/ffunP=> l; rewrite !ffunE /open /= !ffunE.
rewrite [owner k == _]eq_sym (negPf ck) /=.
by case: eqVneq => [lc|//]; case: eqVneq => [lk|//]; rewrite -lc lk eqxx in ck.
Qed.

(** Within one problem, solving is the same for all candidates and forgets their failures. *)
Lemma solve_same s c k : owner c = owner k -> solve c s = solve k s.
Proof. by rewrite /solve => ->. Qed.

Lemma solve_fail_same s c k : owner c = owner k -> solve c (fail k s) = solve k s.
Proof.
move=> ck; rewrite (solve_same _ ck); congr pair; apply/ffunP=> l; rewrite !ffunE /=.
by case: eqVneq => // lk; case: eqVneq => [e|_]; [rewrite e eqxx in lk | rewrite addn0].
Qed.

(** Rollouts for different problems may be swapped. *)
Lemma roll_swap c k X s : owner c != owner k -> roll c (roll k X) s = roll k (roll c X) s.
Proof.
move=> pck; have pkc : owner k != owner c by rewrite eq_sym.
have ck : c != k by apply: contraNneq pck => ->.
have kc : k != c by rewrite eq_sym.
rewrite /roll !hazard_solve // !hazard_fail // (solve_swap s c k) (fail_swap s c k).
rewrite (solve_fail s pck) (solve_fail s pkc).
rewrite !mulrDr !mulrA addrACA ![hazard s k * _]mulrC ![(1 - hazard s k) * _]mulrC.
by rewrite addrACA.
Qed.

Lemma worth_fail c s : worth (fail c s) = worth s.
Proof. by []. Qed.

Lemma worth_solve c s : open s c -> worth (solve c s) = worth s + v (owner c).
Proof.
move=> un; rewrite /worth (bigD1 (owner c)) /=; last by rewrite ffunE eqxx.
rewrite addrC; congr (_ + _); apply: eq_bigl => m; rewrite ffunE.
by case: eqVneq => [->|_]; rewrite ?andbF ?andbT //; apply/esym/negbTE.
Qed.

Lemma roll_worth c s : roll c worth s = worth s + index s c.
Proof.
rewrite /roll worth_fail /index /hazard; case: ifP => [un|_]; last first.
  by rewrite mul0r subr0 mul1r mulr0 addr0 add0r.
by rewrite (worth_solve un) mulrDr addrAC -mulrDl addrCA subrr addr0 mul1r mulrC.
Qed.

(** A largest index stays one while another candidate fails, or another problem is solved. *)
Lemma is_top_fail s c k : k != c -> is_top s c -> is_top (fail k s) c.
Proof.
move=> kc top l; have ck : c != k by rewrite eq_sym.
rewrite {2}/index hazard_fail //; apply: le_trans (top l).
rewrite /index ler_wpmul2l //; case: (eqVneq l k) => [->|lk]; last by rewrite hazard_fail.
by rewrite /hazard /open /= ffunE eqxx /open /=; case: (s.2 _) => //=; rewrite addn1.
Qed.

Lemma is_top_solve s c k : owner k != owner c -> is_top s c -> is_top (solve k s) c.
Proof.
move=> pkc top l; have pck : owner c != owner k by rewrite eq_sym.
rewrite {2}/index hazard_solve //; case: (eqVneq (owner l) (owner k)) => [lk|lk].
  by rewrite /index (hazard_solved s lk) mulr0 index_ge0.
by rewrite /index hazard_solve //; exact: top.
Qed.

(** The largest expected value of n rollouts, by Bellman's equation; idling is allowed. *)
Fixpoint optimum (n : nat) (s : state) : R :=
  if n is n'.+1 then
    foldr (fun c x => Num.max (roll c (optimum n') s) x) (optimum n' s) (enum K)
  else worth s.

Lemma max_ge (f : K -> R) x l c : c \in l -> f c <= foldr (fun k y => Num.max (f k) y) x l.
Proof.
elim: l => // k l IH; rewrite inE /= le_maxr => /predU1P[->|/IH->]; first by rewrite lexx.
by rewrite orbT.
Qed.

Lemma max_ge_start (f : K -> R) x l : x <= foldr (fun k y => Num.max (f k) y) x l.
Proof. by elim: l => //= k l IH; rewrite le_maxr IH orbT. Qed.

Lemma max_le (f : K -> R) x l z : x <= z -> (forall c, f c <= z) ->
  foldr (fun k y => Num.max (f k) y) x l <= z.
Proof. by move=> xz fz; elim: l => //= k l IH; rewrite le_maxl fz IH. Qed.

Lemma optimum_roll n s c : roll c (optimum n) s <= optimum n.+1 s.
Proof. by apply: (max_ge (fun c => roll c (optimum n) s)); rewrite mem_enum. Qed.

Lemma optimum_idle n s : optimum n s <= optimum n.+1 s.
Proof. exact: (max_ge_start (fun c => roll c (optimum n) s)). Qed.

Lemma optimum_le n s z : optimum n s <= z -> (forall c, roll c (optimum n) s <= z) ->
  optimum n.+1 s <= z.
Proof. exact: max_le. Qed.

(** Of two candidates of one problem, the one with the larger hazard had better come first. *)
Lemma same_problem (a b x y z : R) : b <= a -> y <= x ->
  b * x + (1 - b) * (a * y + (1 - a) * z) <= a * x + (1 - a) * (b * y + (1 - b) * z).
Proof.
have E p q : p * x + (1 - p) * (q * y + (1 - q) * z)
    = p * x + q * y + ((1 - p) * (1 - q) * z - p * (q * y)).
  rewrite mulrDr !mulrA [(1 - p) * q]mulrBl mul1r mulrBl -!addrA; congr (_ + (_ + _)).
  exact: addrC.
move=> ba yx; rewrite !E [(1 - b) * _]mulrC [b * (a * y)]mulrCA ler_add2r.
rewrite -ler_subr_addr -addrA -mulrBl -ler_subl_addl -mulrBl -subr_ge0.
by rewrite -mulrBr mulr_le0 // subr_le0.
Qed.

(** To roll a candidate of the largest index is optimal, in every state, for every n. *)
Lemma top_optimal n s c : is_top s c -> optimum n.+1 s = roll c (optimum n) s.
Proof.
elim: n s c => [|n IH] s c top; apply/le_anti; rewrite optimum_roll andbT.
  apply: optimum_le => [|k]; rewrite !roll_worth ?ler_add2l //.
  by rewrite ler_addl index_ge0.
apply: optimum_le => [|k].
  by rewrite (IH _ _ top); apply: roll_le => t; apply: optimum_idle.
case: (eqVneq k c) => [->//|kc]; have ck : c != k by rewrite eq_sym.
have topk := is_top_fail kc top.
case: (eqVneq (owner k) (owner c)) => [same|pkc]; last first.
  rewrite {1}/roll (IH (solve k s) c) ?(IH (fail k s) c) //; last exact: is_top_solve.
  rewrite -/(roll k (roll c (optimum n)) s) roll_swap //.
  by apply: roll_le => t; apply: optimum_roll.
have le_h : hazard s k <= hazard s c by have := top k; rewrite /index same ler_pmul2l.
rewrite {1}/roll (IH (fail k s) c) // /roll hazard_fail // solve_fail_same // (solve_same s same).
apply: le_trans (same_problem _ le_h (optimum_idle n (solve c s))) _.
rewrite ler_add2l ler_wpmul2l ?hazard_le1 //; apply: le_trans (optimum_roll n (fail c s) k).
by rewrite /roll hazard_fail // solve_fail_same // fail_swap.
Qed.

Lemma expected_le s0 pi n past : policy pi ->
  expected s0 pi n past <= optimum n (after s0 past).
Proof.
move=> piP; elim: n past => // n IH past.
set s := after s0 past; have [pi_ge0 pi_le1] := piP past.
rewrite [X in X <= _]/= -/s.
apply: le_trans (_ : (\sum_c pi past c) * optimum n.+1 s
  + (1 - \sum_c pi past c) * optimum n.+1 s <= _); last first.
  by rewrite -mulrDl addrCA subrr addr0 mul1r.
apply: ler_add; last first.
  by apply: ler_wpmul2l; [rewrite subr_ge0 | apply: le_trans (IH _) (optimum_idle _ _)].
rewrite mulr_suml; apply: ler_sum => c _; apply: ler_wpmul2l => //.
apply: le_trans (optimum_roll n s c); rewrite ler_add //.
  by apply: ler_wpmul2l (IH _); apply: hazard_ge0.
by apply: ler_wpmul2l (IH _); apply: hazard_le1.
Qed.

Lemma expected_index s0 pi n past : index_policy s0 pi ->
  expected s0 pi n past = optimum n (after s0 past).
Proof.
move=> piP; elim: n past => // n IH past.
set s := after s0 past; have [pi_ge0 pi1 pi_top] := piP past.
rewrite [LHS]/= -/s pi1 subrr mul0r addr0.
rewrite (eq_bigr (fun c => pi past c * optimum n.+1 s)) => [|c _].
  by rewrite -mulr_suml pi1 mul1r.
have := pi_ge0 c; rewrite le_eqVlt => /predU1P[<-|pic]; first by rewrite !mul0r.
by rewrite (top_optimal n (pi_top c pic)) !IH.
Qed.

(** There are index policies, and they are policies. *)
Theorem index_policy_exists s0 (c0 : K) : exists2 pi, policy pi & index_policy s0 pi.
Proof.
pose top s := [arg max_(c > c0) index s c]%O.
exists (fun past c => (c == top (after s0 past))%:R) => past.
  split=> [c|]; first exact: ler0n.
  by rewrite (bigD1 (top (after s0 past))) //= eqxx big1 ?addr0 // => c /negPf->.
split=> [c||c]; first exact: ler0n.
  by rewrite (bigD1 (top (after s0 past))) //= eqxx big1 ?addr0 // => c /negPf->.
case: eqVneq => [-> _ k|_]; last by rewrite ltxx.
by rewrite /top; case: arg_maxP => // t _; apply.
Qed.

(** 7.2. *)
Theorem index_policy_optimal s0 index_pi : index_policy s0 index_pi ->
  forall pi N, policy pi -> expected s0 pi N [::] <= expected s0 index_pi N [::].
Proof. by move=> indexP pi N piP; rewrite (expected_index N _ indexP) expected_le. Qed.
End Adaptive.
