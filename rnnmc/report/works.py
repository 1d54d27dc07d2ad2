# ruff: noqa: E501
"""Titles of the works that sources name, and where they appeared; of a work that is not here nothing is guessed."""

from __future__ import annotations

# What some sources say -> the authors that others say of the same work.
ALL_AUTHORS = {
    "Jozefowicz et al. 2015": "Jozefowicz, Zaremba, Sutskever",
    "Molgedey et al. 1992": "Molgedey, Schuchhardt, Schuster",
}
# key of an entry | title | where it appeared
_KNOWN = """\
ahmadian_fumarola_miller_2015|Properties of networks with partially structured and partially random connectivity|Physical Review E 91, 012820
arjovsky_shah_bengio_2016|Unitary evolution recurrent neural networks|ICML
au_and_beck_2001|Estimation of small failure probabilities in high dimensions by subset simulation|Probabilistic Engineering Mechanics 16, 263
ba_kiros_hinton_2016|Layer normalization|arXiv:1607.06450
beck_2024|xLSTM: Extended long short-term memory|arXiv:2405.04517
benettin_1980|Lyapunov characteristic exponents for smooth dynamical systems and for Hamiltonian systems; a method for computing all of them|Meccanica 15, 9
bradbury_merity_xiong_socher_2017|Quasi-recurrent neural networks|ICLR
brown_cai_dasgupta_2001|Interval estimation for a binomial proportion|Statistical Science 16, 101
can_krishnamurthy_schwab_2020|Gating creates slow modes and controls phase-space complexity in GRUs and LSTMs|Mathematical and Scientific Machine Learning
cerou_del_moral_furon_guyader_2012|Sequential Monte Carlo for rare event estimation|Statistics and Computing 22, 795
chang_chen_haber_chi_2019|AntisymmetricRNN: A dynamical system view on recurrent neural networks|ICLR
chen_pennington_schoenholz_2018|Dynamical isometry and a mean field theory of RNNs: Gating enables signal propagation in recurrent neural networks|ICML
cho_2014|Learning phrase representations using RNN encoder-decoder for statistical machine translation|EMNLP
clopper_and_pearson_1934|The use of confidence or fiducial limits illustrated in the case of the binomial|Biometrika 26, 404
collins_sohl_dickstein_sussillo_2017|Capacity and trainability in recurrent neural networks|ICLR
dau_and_chopin_2022|Waste-free sequential Monte Carlo|Journal of the Royal Statistical Society B 84, 114
de_2024|Griffin: Mixing gated linear recurrences with local attention for efficient language models|arXiv:2402.19427
elman_1990|Finding structure in time|Cognitive Science 14, 179
engelken_wolf_abbott_2023|Lyapunov spectra of chaotic recurrent neural networks|Physical Review Research 5, 043044
erichson_azencot_queiruga_hodgkinson_mahoney_2021|Lipschitz recurrent neural networks|ICLR
feng_2024|Were RNNs all we needed?|arXiv:2410.01201
gers_2000|Learning to forget: Continual prediction with LSTM|Neural Computation 12, 2451
gers_and_schmidhuber_2000|Recurrent nets that time and count|IJCNN
gilboa_2019|Dynamical isometry and a mean field theory of LSTMs and GRUs|arXiv:1901.08987
glorot_and_bengio_2010|Understanding the difficulty of training deep feedforward neural networks|AISTATS
greff_2017|LSTM: A search space odyssey|IEEE Transactions on Neural Networks and Learning Systems 28, 2222
gu_and_dao_2023|Mamba: Linear-time sequence modeling with selective state spaces|arXiv:2312.00752
gu_gupta_goel_re_2022|On the parameterization and initialization of diagonal state space models|NeurIPS
hanin_and_nica_2018|Products of many large random matrices and gradients in deep neural networks|arXiv:1812.05994
hasani_2022|Closed-form continuous-time neural networks|Nature Machine Intelligence 4, 992
hasani_lechner_amini_rus_grosu_2021|Liquid time-constant networks|AAAI
he_2015|Delving deep into rectifiers: Surpassing human-level performance on ImageNet classification|ICCV
henaff_szlam_lecun_2016|Recurrent orthogonal networks and long-memory tasks|ICML
hochreiter_and_schmidhuber_1997|Long short-term memory|Neural Computation 9, 1735
howard_and_ramdas_2022|Sequential estimation of quantiles with applications to A/B testing and best-arm identification|Bernoulli 28, 1704
howard_ramdas_mcauliffe_sekhon_2021|Time-uniform, nonparametric, nonasymptotic confidence sequences|Annals of Statistics 49, 1055
jaeger_lukosevicius_popovici_siewert_2007|Optimization and applications of echo state networks with leaky-integrator neurons|Neural Networks 20, 335
jozefowicz_zaremba_sutskever_2015|An empirical exploration of recurrent network architectures|ICML
kingma_and_ba_2015|Adam: A method for stochastic optimization|ICLR
krause_murray_renals_lu_2016|Multiplicative LSTM for sequence modelling|arXiv:1609.07959
kusupati_2018|FastGRNN: A fast, accurate, stable and tiny kilobyte sized gated recurrent neural network|NeurIPS
lai_1976|On confidence sequences|Annals of Statistics 4, 265
laurent_and_von_brecht_2017|A recurrent neural network without chaos|ICLR
le_jaitly_hinton_2015|A simple way to initialize recurrent networks of rectified linear units|arXiv:1504.00941
lecun_1998|Efficient BackProp|Neural Networks: Tricks of the Trade
lee_levy_zettlemoyer_2017|Recurrent additive networks|arXiv:1705.07393
lei_zhang_wang_dai_artzi_2018|Simple recurrent units for highly parallelizable recurrence|EMNLP
lezcano_casado_and_martinez_rubio_2019|Cheap orthogonal constraints in neural networks: A simple parametrization of the orthogonal and unitary group|ICML
li_li_cook_zhu_gao_2018|Independently recurrent neural network (IndRNN): Building a longer and deeper RNN|CVPR
lukosevicius_2012|A practical guide to applying echo state networks|Neural Networks: Tricks of the Trade
mezzadri_2007|How to generate random matrices from the classical compact groups|Notices of the AMS 54, 592
mikolov_joulin_chopra_mathieu_ranzato_2014|Learning longer memory in recurrent neural networks|arXiv:1412.7753
molgedey_schuchhardt_schuster_1992|Suppressing chaos in neural networks by noise|Physical Review Letters 69, 3717
newman_1986|The distribution of Lyapunov exponents: Exact results for random matrices|Communications in Mathematical Physics 103, 121
orvieto_2023|Resurrecting recurrent neural networks for long sequences|ICML
pascanu_mikolov_bengio_2013|On the difficulty of training recurrent neural networks|ICML
ravanelli_brakel_omologo_bengio_2018|Light gated recurrent units for speech recognition|IEEE Transactions on Emerging Topics in Computational Intelligence 2, 92
robbins_1970|Statistical methods related to the law of the iterated logarithm|Annals of Mathematical Statistics 41, 1397
rusch_and_mishra_2021_cornn|Coupled oscillatory recurrent neural network (coRNN): An accurate and (gradient) stable architecture for learning long time dependencies|ICLR
rusch_and_mishra_2021_unicornn|UnICORNN: A recurrent model for learning very long time dependencies|ICML
rusch_mishra_erichson_mahoney_2022|Long expressive memory for sequence modeling|ICLR
sak_senior_beaufays_2014|Long short-term memory recurrent neural network architectures for large scale acoustic modeling|Interspeech
saxe_2014|Exact solutions to the nonlinear dynamics of learning in deep linear neural networks|ICLR
schoenholz_2017|Deep information propagation|ICLR
schuecker_goedeke_helias_2018|Optimal sequence memory in driven random networks|Physical Review X 8, 041029
sompolinsky_crisanti_sommers_1988|Chaos in random neural networks|Physical Review Letters 61, 259
sparre_andersen_1953|On the fluctuations of sums of random variables|Mathematica Scandinavica 1, 263
tallec_and_ollivier_2018|Can recurrent neural networks warp time?|ICLR
turkoglu_d_aronco_wegner_schindler_2019|Gating revisited: Deep multi-layer RNNs that can be trained|arXiv:1911.11033
uhlenbeck_and_ornstein_1930|On the theory of the Brownian motion|Physical Review 36, 823
van_der_westhuizen_and_lasenby_2018|The unreasonable effectiveness of the forget gate|arXiv:1804.04849
vecoven_ernst_drion_2021|A bio-inspired bistable recurrent cell allows for long-lasting memory|PLOS ONE 16
walter_2015|Rare event simulation and splitting for discontinuous random variables|ESAIM: Probability and Statistics 19, 794
wang_and_ramdas_2023|Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance|arXiv:2310.03722
wilson_1927|Probable inference, the law of succession, and statistical inference|Journal of the American Statistical Association 22, 209
zhang_xiong_su_lin_zhang_2018|Simplifying neural machine translation with addition-subtraction twin-gated recurrent networks|EMNLP
zhou_2016|Minimal gated unit for recurrent neural networks|International Journal of Automation and Computing 13, 226
zhou_and_gao_1997|Confidence intervals for the log-normal mean|Statistics in Medicine 16, 783
zilly_srivastava_koutnik_schmidhuber_2017|Recurrent highway networks|ICML
"""
# key -> (title, where it appeared)
WORKS = {key: (title, where) for key, title, where in (line.split("|") for line in _KNOWN.splitlines())}
# What statistics were estimated by -> its sources; docs/physics.md section 8.
ESTIMATORS = {
    "wilson": "Wilson 1927",
    "jeffreys": "Brown, Cai, DasGupta 2001",
    "clopper-pearson": "Clopper and Pearson 1934",
    "confidence-sequence": "Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021; Howard and Ramdas 2022; Lai 1976; "
    "Wang and Ramdas 2023",
    "lognormal": "Zhou and Gao 1997",
    "splitting": "Au and Beck 2001; Cerou, Del Moral, Furon, Guyader 2012; Dau and Chopin 2022; Walter 2015",
}
