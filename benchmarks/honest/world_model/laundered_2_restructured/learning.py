"""How the brain gets better: one optimizer per part, three updates per batch."""
import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

LEARNING_RATES = {"dreamworld": 6e-4, "policy": 8e-5, "value": 8e-5}


class PartOptimizer:
    def __init__(self, module, rate, max_norm):
        self.weights = list(module.parameters())
        self.adam = Adam(self.weights, lr=rate, eps=1e-5)
        self.max_norm = max_norm

    def minimize(self, objective):
        self.adam.zero_grad()
        objective.backward(inputs=self.weights)
        clip_grad_norm_(self.weights, self.max_norm)
        self.adam.step()


class Teacher:
    def __init__(self, brain, max_norm=100.0, drift=0.02, surprise=1e-3, trace=0.95,
                 patience=0.99, depth=15):
        self.brain = brain
        self.drift, self.surprise = drift, surprise
        self.trace, self.patience, self.depth = trace, patience, depth
        self.parts = {
            part: PartOptimizer(getattr(brain, part), rate, max_norm)
            for part, rate in LEARNING_RATES.items()
        }

    def dump(self):
        return {part: opt.adam.state_dict() for part, opt in self.parts.items()}

    def load(self, dumped):
        for part in dumped:
            self.parts[part].adam.load_state_dict(dumped[part])

    def lesson(self, batch):
        figures, sighted = self.study_world(batch)
        vectors, surprises = self.daydream(sighted.as_starts())
        goals, reach, objective = self.judge_dream(vectors, surprises)
        self.parts["policy"].minimize(objective)
        figures["policy"] = objective
        figures["value"] = self.study_value(goals.detach(), reach, vectors[:-1].detach())
        figures["surprise"] = surprises.mean()
        return {name: figure.item() for name, figure in figures.items()}

    def study_world(self, batch):
        terms, kl, sighted = self.brain.dreamworld.errors(**batch)
        self.parts["dreamworld"].minimize(sum(terms.values()))
        figures = {name: term.detach() for name, term in terms.items() if name != "pull"}
        figures["kl"] = kl
        return figures, sighted

    def daydream(self, moment):
        """Vectors of depth + 1 moments, and how surprising each action between them is."""
        vector = moment.vector
        vectors, surprises = [vector], []
        while len(surprises) < self.depth:
            action, log_density = self.brain.policy.gamble(vector.detach())
            moment = self.brain.dreamworld.transition.blind(action, moment)
            vector = moment.vector
            surprises.append(-log_density)
            vectors.append(vector)
        return torch.stack(vectors), torch.stack(surprises)

    def judge_dream(self, vectors, surprises):
        world = self.brain.dreamworld
        later = vectors[1:]
        alive = world.survival.scalar(vectors).sigmoid()
        fade = alive[1:] * self.patience
        goals = self.mixed_goals(self.brain.old_value.scalar(later), world.payoff.scalar(later), fade)
        with torch.no_grad():
            reach = torch.cumprod(torch.cat((alive[:1], fade[:-1])), 0)
        objective = (reach * (goals + self.surprise * surprises)).mean().neg()
        return goals, reach, objective

    def mixed_goals(self, values, payoffs, fade):
        """Mix of n-step returns, filled in from the far end of the dream."""
        direct = payoffs + fade * values * (1 - self.trace)
        passed_on = fade * self.trace
        goals = [None] * len(payoffs)
        nxt = values[-1]
        t = len(payoffs) - 1
        while t >= 0:
            nxt = torch.addcmul(direct[t], passed_on[t], nxt)
            goals[t] = nxt
            t -= 1
        return torch.stack(goals)

    def study_value(self, goals, reach, vectors):
        gap = goals - self.brain.value.scalar(vectors)
        objective = torch.mean(reach * gap.square()) / 2
        self.parts["value"].minimize(objective)
        self.let_old_value_drift()
        return objective

    @torch.no_grad()
    def let_old_value_drift(self):
        new = dict(self.brain.value.named_parameters())
        for name, old in self.brain.old_value.named_parameters():
            old.mul_(1 - self.drift).add_(new[name], alpha=self.drift)
